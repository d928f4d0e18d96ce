# Runs on the node, SOURCE-URL TINY: a load that makes every provider fire, and the rows.
# A row is NAME, D program, and an extended regular expression for its whole output (runs of white
# space are one blank), with tabs between; a program that does not end is ended after 90 seconds (on
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
	dd if=/dev/zero of=disk/looped bs=16k count=2 conv=fsync 2>/dev/null
	for what in fault options refused signals tcp thread time-wait udp6; do /root/provoke $what; done
	/root/provoke direct /dev/vda
	/root/provoke again &
done
END
# A filesystem whose pages go to a disk as they are, unlike ZFS', and a process with little of a CPU.
truncate -s 48M $work/image && mkfs.ext4 -qF $work/image && mkdir $work/disk && mount -o loop $work/image $work/disk
echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/capped && echo '2000 100000' >/sys/fs/cgroup/capped/cpu.max
(echo $BASHPID >/sys/fs/cgroup/capped/cgroup.procs && while :; do :; done) &
capped=$!
bash $work/load &
load=$!
trap 'kill -- $load $capped; umount -l $work/disk; rm -rf $work' EXIT

show() { # PROGRAM: what it prints to $out, how it ends to $status
	out=$(timeout -s INT -k 5 90 $dtrace -q ${LIB:+-xsyslibdir=$LIB} -n "$1" 2>&1 | tr -s ' \n\t' ' '; exit "${PIPESTATUS[0]}")
	status=$?
}
run_row() { # NAME PROGRAM ERE
	local out status want=0 ere=$3
	[ "${ere:0:1}" = '!' ] && want=1 ere=${ere:1}
	show "$2"
	# What happens within a window of time may need a longer one where the load itself is slow.
	if [[ $2 =~ tick-([0-9]+)s ]] && ! grep -qE -- "$ere" <<<"$out"; then
		show "${2/tick-${BASH_REMATCH[1]}s/tick-$((8 * BASH_REMATCH[1]))s}"
	fi
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
	like "$name" "$(timeout -k 5 300 "$scripts/$name" 2>&1 | head -n 3)" "$ere"
done <<'END'
execsnoop [0-9]+ global +[^ ]+
iosnoop (vd|loop)[a-z0-9]+ +[RW] +[0-9]+
killsnoop [0-9]+ [^ ]+ +[0-9]+ +[0-9]+
opensnoop [0-9]+ [^ ]+ +-?[0-9]+ +[0-9]+ [a-z/]
tcpconnect (accept|connect)-[a-z]+ +(127.0.0.1|::1)
tcpsnoop (->|<-) +[0-9a-f.:]+ +[0-9]+
zonetop global
END
like 'a script that is given too much' "$("$scripts/execsnoop" more 2>&1)" 'extraneous argument .more.'
like "a script's --help" "$("$scripts/execsnoop" --help; echo $?)" '^usage: execsnoop .*'
shows='[a-z0-9]+.* +[0-9]+ *$'
for name in hotkernel hotuser iolatency runqlat; do
	for seconds in 10 40; do # the second where attaching alone takes long
		out=$(timeout -s INT -k 20 $seconds "$scripts/$name" 2>&1)
		grep -qE "$shows" <<<"$out" && break
	done
	like $name "$out" "$shows"
done
like intrstat "$(timeout 300 intrstat 1 1 2>&1)" '^(virtio|NET_RX|TIMER|RCU)[^ ]* +0 +[0-9]+ +[0-9]+$'
like 'intrstat: a wrong number' "$(intrstat 1 0 2>&1)" '^intrstat: 0: not a number from 1 to 86400'
like 'lockstat: how long' "$(timeout 300 lockstat -A -D 3 true 2>&1 | tr -s ' \n' ' ')" \
	'Adaptive mutex hold: [0-9]+ events in [0-9.]+ seconds \([0-9]+ events/sec\) Count indv cuml rcnt nsec Lock Caller -+( [0-9]+ +[0-9]+% +[0-9]+% 0.00 +[0-9]+ [^ ]+ [a-z0-9_]+`[^ ]+){3} ?$'
like 'lockstat: stacks' "$(timeout 300 lockstat -H -s 2 -D 1 true 2>&1 | tr -s ' \n' ' ')" 'Lock Stack -+ .* [a-z0-9_]+`[^ ]+\+0x[0-9a-f]+ [a-z0-9_]+`[^ ]+\+0x[0-9a-f]+ ?$'
like 'lockstat: a wrong number' "$(lockstat -D 0 true 2>&1)" '^lockstat: -D 0: not a number'
like 'lockstat: no command' "$(lockstat /nonexistent 2>&1)" 'failed to execute /nonexistent'
held=' +80 +[0-9]+ 0x[0-9a-f]+ +provoke`use_locks'
out=$(timeout 300 plockstat -A -n 1 /root/provoke locks 2>&1)
like 'plockstat -A: held as often as taken' "$(tr -s ' \n' ' ' <<<"$out")" "Mutex hold Count nsec Lock Caller -+$held R/W reader hold Count nsec Lock Caller -+$held R/W writer hold Count nsec Lock Caller -+$held ?$"
like 'plockstat -A: and waited for' "$(tr -s ' \n' ' ' <<<"$out")" 'R/W writer block Count nsec Lock Caller -+ [0-9]+ [0-9]{6,} 0x[0-9a-f]+ provoke`use_locks'
like 'plockstat: stacks' "$(timeout 300 plockstat -s 3 /root/provoke locks 2>&1 | tr -s ' \n' ' ')" 'provoke`use_locks\+0x[0-9a-f]+ provoke`locks\+0x[0-9a-f]+ provoke`main\+0x[0-9a-f]+'
/root/provoke locks 100000 & locker=$!
like 'plockstat -p: for a second' "$(timeout 300 plockstat -e 1 -p $locker 2>&1)" '0x[0-9a-f]+ +provoke`use_locks'
kill $locker
like 'plockstat: a static program without names says so' "$(plockstat -e 1 -p 1 2>&1)" 'line [0-9]+: .*no such function or instruction in a.out of process 1'
like 'plockstat: no such process' "$(plockstat -p 4194000 2>&1)" 'failed to grab process 4194000: No such process'
like 'plockstat: a wrong number' "$(plockstat -s 51 true 2>&1)" '^plockstat: -s 51: not a number'

# --- killed at any moment, attached or not yet, dtrace leaves nothing in the kernel
sysctl -q net.core.bpf_jit_kallsyms=1
left() { echo $(($(grep -c '\[bpf\]' /proc/kallsyms) + $(wc -l </sys/kernel/tracing/enabled_functions))); }
none_of_them() { [ "$(left)" -le "$before" ]; }
more_of_them() { [ "$(left)" -gt "$before" ]; }
as_before() { local was=$before; before=$(left); [ "$before" = "$was" ]; }
before=
# Not by ok(), which would keep the number in its subshell.
if until_true 60 as_before; then pass 'what traced before has gone'; else fail 'what traced before has gone'; fi
killed() { $dtrace -qn "$1" >/dev/null 2>&1 & }
killed 'syscall:::entry { @[execname] = count(); } fbt::vfs_read:entry { @reads = count(); }'
ok 'a dtrace that traces is seen' until_true 60 more_of_them
kill -9 $!
for program in 'syscall:::entry { @ = count(); }' 'fbt::vfs_read:entry { @ = count(); }' 'profile-499 { @[stack()] = count(); }' 'tcp:::receive { @ = count(); }'; do
	for when in 0.1 0.3 0.6 1.2; do
		killed "$program"
		sleep $when
		kill -9 $!
	done
done
ok 'killed at any moment it leaves nothing' until_true 60 none_of_them
. /root/zones.bash
echo end
