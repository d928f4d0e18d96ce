# Runs on the node, SOURCE-URL TINY: a load that makes every provider fire, and the rows.
# A row is NAME, D program, and an extended regular expression for its whole output (runs of white
# space are one blank), with tabs between; a program that does not end is ended after 25 seconds (on
# a busy machine attaching alone takes some) and has failed.  "!" before the expression: dtrace must
# fail, and say that.
. /root/checks.bash
set -u
source_url=$1 tiny=$2
dtrace=${DTRACE:-dtrace}
work=/var/tmp/dtrace-load
mkdir -p $work
cat >$work/load <<'END'
cd /var/tmp/dtrace-load
while :; do
	dd if=/dev/zero of=file bs=16k count=4 oflag=sync 2>/dev/null
	dd if=file of=/dev/null bs=16k 2>/dev/null
	cat file >copy; rm -f copy; mkdir -p dir; rmdir dir; ls >/dev/null
	(exec 3<>/dev/tcp/127.0.0.1/22; read -rn 4 x <&3) 2>/dev/null
	(exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null
	(exec 3<>/dev/tcp/::1/22; read -rn 4 x <&3) 2>/dev/null
	echo x >/dev/udp/127.0.0.1/9
	/nonexistent 2>/dev/null
	./load --not-executable 2>/dev/null
	nice -n 5 sleep 100 & kill $!; wait $! 2>/dev/null
	nice -n 5 true; (exit 3)
	sync file
done
END
bash $work/load &
load=$!
trap 'kill -- $load; rm -rf $work' EXIT

run_row() { # NAME PROGRAM ERE
	local out status want=0 ere=$3
	[ "${ere:0:1}" = '!' ] && want=1 ere=${ere:1}
	out=$(timeout -s INT -k 5 25 $dtrace -q ${LIB:+-xsyslibdir=$LIB} -n "$2" 2>&1 | tr -s ' \n\t' ' '; exit "${PIPESTATUS[0]}")
	status=$?
	if [ $status = $want ]; then like "$1" "$out" "$ere"; else fail "$1" "exit $status: ${out:0:400}"; fi
}
# What our own daemons and commands report: a service and a machine come and go.
cat >$work/operator <<'END'
(while :; do svcadm restart ntp; sleep 2; done) &
while :; do
	echo '{"brand":"bhyve","alias":"traced","ram":128,"vcpus":1,"autoboot":false}' | vmadm create
	vmadm lookup alias=traced | while read -r uuid; do vmadm delete "$uuid" </dev/null; done
done
END
for file in /root/rows/*.rows; do
	operator=
	[ "$(basename "$file")" != daemons.rows ] || { setsid bash $work/operator >/dev/null 2>&1 & operator=$!; }
	while IFS=$'\t' read -r name program ere; do
		case $name in '' | '#'*) continue ;; esac
		run_row "$(basename "$file" .rows): $name" "$program" "$ere" </dev/null
	done <"$file"
	[ -z "$operator" ] || kill -- "-$operator" # its udev events are not what other rows look for
done

# --- what the service that dtrace -A is for keeps; the preprocessor of the image
$dtrace -A -qn 'BEGIN { printf("armed"); } syscall:::entry { @[execname] = count(); }' 2>/dev/null
svcadm disable -s dtrace/anon && svcadm enable -s dtrace/anon
like "anonymous tracing is claimed" "$($dtrace -ae 2>&1 | tr -s ' \n' ' ')" '^armed .*(bash|sed|dd|svc)[a-z.]* [0-9]+'
like "and only once" "$($dtrace -a 2>&1)" 'No anonymous tracing state'
$dtrace -A
printf '#pragma D option quiet\n#ifdef SIX\nBEGIN { trace(SIX); exit(0); }\n#endif\n' >$work/six.d
like "-C runs mcpp" "$($dtrace -C -DSIX=6 -s $work/six.d 2>&1)" '^6$'

# --- the scripts: the first line behind the heading, or what is told at the end
scripts=${SCRIPTS:-/usr/share/dtrace}
while read -r name ere; do
	like "$name" "$(timeout -k 5 15 "$scripts/$name" 2>&1 | head -n 3)" "$ere"
done <<'END'
execsnoop [0-9]+ global +[a-z/.]+
iosnoop vd[a-z0-9]+ +[RW] +[0-9]+
killsnoop [0-9]+ [a-z/-]+ +[0-9]+ +[0-9]+
opensnoop [0-9]+ [a-z/-]+ +-?[0-9]+ +[0-9]+ /
tcpconnect (accept|connect)-[a-z]+ +(127.0.0.1|::1)
tcpsnoop (->|<-) +[0-9a-f.:]+ +[0-9]+
zonetop global
END
for name in hotkernel hotuser iolatency runqlat; do
	like $name "$(timeout -s INT -k 20 6 "$scripts/$name" 2>&1)" '[a-z0-9]+.* +[0-9]+ *$'
done
like intrstat "$(timeout 20 intrstat 1 1 2>&1)" '^(virtio|NET_RX|TIMER|RCU)'
like lockstat "$(timeout 30 lockstat -H -D 3 true 2>&1)" 'Adaptive mutex hold'
. /root/zones.bash
echo end
