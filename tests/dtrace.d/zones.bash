# Read by on-node.bash: dtrace in zones.  $source_url and $tiny are where the image is and its uuid.
imgadm sources -a "$source_url" >/dev/null 2>&1
ok 'an image for zones' imgadm import -q "$tiny"
for name in a b; do
	vmadm create >/dev/null 2>&1 <<JSON
{"brand":"lx","kernel_version":"6.12.0","image_uuid":"$tiny","alias":"$name","max_physical_memory":256,"quota":3}
JSON
done
a=$(vmadm lookup -1 alias=a) b=$(vmadm lookup -1 alias=b)
in_zone() { zlogin "$1" "$(printf '%q ' "${@:2}")"; }
dt() { in_zone "$1" timeout 300 /native/usr/sbin/dtrace "${@:2}" 2>&1; }
consumers() { cat /sys/fs/cgroup/zones/$a/dtrace/cgroup.procs 2>/dev/null | wc -l; }
none_left() { [ "$(consumers)" = 0 ]; }
some_left() { [ "$(consumers)" != 0 ]; }

# All system calls by KEYS, until there were some of the program NAME, and for five seconds, in which others would have shown themselves.
calls() { # KEYS NAME
	echo "syscall:::entry { @[$1] = count(); } syscall:::entry /execname == \"$2\"/ { seen++; } tick-1s { s++; } tick-1s /s >= 5 && seen > 100/ { exit(0); }"
}

is 'the broker is online' "$(svcs -H -o state system/dtrace)" online
in_zone $a sh -c 'while :; do /bin/busybox cat /etc/hostname; done' >/dev/null 2>&1 &
in_zone $b sh -c 'cp /bin/busybox /tmp/busybox-b; while :; do /tmp/busybox-b cat /etc/hostname; done' >/dev/null 2>&1 &
in_zone $b sh -c 'exec sleep 1000' >/dev/null 2>&1 &

# --- what a zone sees
in_zone $a sh -c 'echo "echo self \$\$; exec cat /etc/hostname" >/tmp/self'
said=$(dt $a -qn 'syscall::openat:entry /pid == $target/ { printf("%d %d %s\n", pid, uid, zonename); }' -c 'sh /tmp/self')
like 'its own system calls, by its own numbers' "$said" "^$(sed -n 's/^self //p' <<<"$said") 0 $a"
seen=$(dt $a -qn "$(calls execname busybox)")
like 'its own processes' "$seen" 'busybox'
not 'none of another zone, none of the node' grep -qE 'busybox-b|dtraced|zoneadmd|sshd|svc\.' <<<"$seen"
seen=$(dt $a -qn 'sched:::off-cpu { @[args[1]->pr_fname, args[1]->pr_pid] = count(); } tick-5s { exit(0); }')
not 'nor in the arguments of probes' grep -qE 'busybox-b|dtraced|zoneadmd|sshd|kworker|rcu' <<<"$seen"
like 'a process that is made' "$(dt $a -qn 'proc:::exec-success /execname == "busybox"/ { printf("%s|%s|%d", execname, curpsinfo->pr_psargs, curpsinfo->pr_pid == pid); exit(0); }')" \
	'busybox\|/bin/busybox cat /etc/hostname\|1'
like 'memory of its own' "$(dt $a -qn 'syscall::openat:entry /execname == "busybox"/ { printf("%s", copyinstr(arg1)); exit(0); }')" '^/'
like 'a file descriptor by name' "$(dt $a -qn 'syscall::read:entry /pid == $target && fds[arg0].fi_name == "hostname"/ { printf("%s", fds[arg0].fi_pathname); exit(0); }' -c 'head -n 1 /etc/hostname')" '/etc/hostname'
like 'the clock samples it' "$(dt $a -qn 'profile-499 /execname == "busybox"/ { @[ustack(1)] = count(); n++; } tick-1s /n/ { exit(0); }')" '[0-9]'

# --- what is refused, and how
like 'functions of the kernel' "$(dt $a -n fbt::vfs_read:entry)" 'probe description fbt::vfs_read:entry does not match any probes'
like 'its variables' "$(dt $a -n 'BEGIN { trace(`jiffies); }')" 'jiffies: DTrace requires additional privileges'
like 'its structures' "$(dt $a -n 'BEGIN { trace(curthread->tgid); }')" 'curthread: DTrace requires additional privileges'
like 'its memory' "$(dt $a -qn 'BEGIN { trace(*(long *)0xffffffff81000000); } tick-1s { exit(0); }')" 'invalid kernel access \(0xffffffff81000000\)'
like 'another zone' "$(dt $a -z "$b" -n BEGIN)" '-z is for root of the global zone'
until_true 120 pgrep -f '^sleep 1000'
like 'a process of another zone' "$(dt $a -p "$(pgrep -f '^sleep 1000')" -n BEGIN)" 'failed to grab process [0-9]+: No such process'
like 'by its number there' "$(dt $a -n "pid$(pgrep -f '^sleep 1000'):::entry")" 'no process has the id'
vmadm update $b limit_priv=default,-dtrace_user,-dtrace_proc >/dev/null 2>&1
like 'a zone without the privileges' "$(dt $b -n BEGIN)" 'failed to initialize dtrace: DTrace requires additional privileges'
vmadm update $b limit_priv=default,-dtrace_user >/dev/null 2>&1
like 'a zone with one of them' "$(dt $b -n syscall:::entry)" 'does not match any probes'
vmadm update $b limit_priv=default >/dev/null 2>&1
in_zone $a sh -c 'grep -q ^plain: /etc/passwd || echo plain:x:1000:1000::/:/bin/sh >>/etc/passwd'
plain() { zlogin -l plain $a "timeout 300 /native/usr/sbin/dtrace $(printf '%q ' "$@")" 2>&1; }
like 'a user that is not root' "$(plain -n BEGIN)" 'DTrace requires additional privileges .*plain::::type=normal;defaultpriv=basic,dtrace_user,dtrace_proc'

# --- users, in a zone and in the global zone
in_zone $a sh -c 'echo "plain::::type=normal;defaultpriv=basic,dtrace_proc" >/etc/user_attr'
like 'a user with one privilege' "$(plain -n syscall:::entry)" 'does not match any probes'
in_zone $a sh -c 'echo "plain::::type=normal;defaultpriv=basic,dtrace_user,dtrace_proc" >/etc/user_attr'
zlogin -l plain $a 'while :; do /bin/busybox head -n 1 /etc/hostname; done' >/dev/null 2>&1 &
seen=$(plain -qn "$(calls execname,uid busybox)")
like 'what he runs' "$seen" '(busybox|head) +1000'
not 'and nothing of root, of the node' grep -qE ' 0 |cat|dtraced|zoneadmd|sshd' <<<"$seen"
like 'by the clock, too' "$(plain -qn 'profile-499 { @[uid] = count(); n++; } tick-1s /n/ { exit(0); }')" '^ *1000 +[0-9]+ *$'
like 'his command' "$(plain -qn 'syscall::openat:entry /pid == $target/ { printf("%s %d", copyinstr(arg1), uid); exit(0); }' -c 'head -n 1 /etc/hostname')" '/.* 1000'
like "root's processes are not his" "$(plain -p 1 -n BEGIN)" 'failed to grab process 1: No such process'
vmadm update $a limit_priv=default,-dtrace_user >/dev/null 2>&1
like 'he has no more than the zone' "$(plain -n syscall:::entry)" 'does not match any probes'
vmadm update $a limit_priv=default >/dev/null 2>&1
grep -q ^ann: /etc/passwd || echo 'ann:x:2001:2001::/:/bin/sh' >>/etc/passwd
ann() { setpriv --reuid 2001 --regid 2001 --clear-groups timeout 300 /usr/sbin/dtrace "$@" 2>&1; }
like 'a user of the global zone' "$(ann -n BEGIN)" 'DTrace requires additional privileges .*ann::::type=normal'
like 'what takes no privilege' "$(ann -V)" 'Sun D'
grant() { sed -i /^ann:/d /etc/user_attr; echo "ann::::type=normal;defaultpriv=basic,$1" >>/etc/user_attr; }
grant dtrace_user,dtrace_proc
setpriv --reuid 2001 --regid 2001 --clear-groups bash -c 'while :; do /bin/head -n 1 /etc/hostname; done' >/dev/null 2>&1 &
anns=$!
seen=$(ann -qn "$(calls execname,uid head)")
like 'his own' "$seen" 'head +2001'
not 'and nothing else' grep -qE ' (0|[013-9][0-9]+) +[0-9]+$|busybox|dtraced|sshd' <<<"$seen"
like 'his functions, with names' "$(ann -qn 'pid$target:libc.so.6:write:entry { ustack(2); exit(0); }' -c 'head -n 1 /etc/hostname')" 'libc.so.6`.*write'
like 'no kernel for him' "$(ann -n fbt::vfs_read:entry)" 'does not match any probes'
like 'nor root' "$(ann -p 1 -n BEGIN)" 'failed to grab process 1: No such process'
# A program that is root by set-uid; held by -c it would not be, as the kernel has it.
cp /bin/head /var/tmp/head-suid && chmod 4755 /var/tmp/head-suid
setpriv --reuid 2001 --regid 2001 --clear-groups bash -c 'while :; do /var/tmp/head-suid -n 1 /etc/hostname; done' >/dev/null 2>&1 &
suid=$!
seen=$(ann -qn "$(calls execname bash)")
like 'what starts a set-uid program is his' "$seen" bash
not 'what it is then is not' grep -q head-suid <<<"$seen"
kill $suid; rm -f /var/tmp/head-suid
grant dtrace_kernel
like 'with dtrace_kernel, the kernel' "$(ann -qn 'fbt::vfs_read:entry { stack(2); exit(0); }')" 'vmlinux`.*read'
like 'and everybody' "$(ann -qn 'syscall:::entry /uid == 0/ { printf("uid %d", uid); exit(0); }')" 'uid 0'
like 'but changes nothing' "$(ann -wn BEGIN)" "destructive actions \(-w\) on all processes are root's"
kill $anns
sed -i /^ann:/d /etc/user_attr

# --- a program with probes of its own, and the node's libc to run it
root=/zones/$a/root
mkdir -p $root/opt $root/lib64 $root/lib/x86_64-linux-gnu
cp /root/victim-usdt $root/opt/
cp /lib64/ld-linux-x86-64.so.2 $root/lib64/
cp /lib/x86_64-linux-gnu/libc.so.6 $root/lib/x86_64-linux-gnu/
seen=$(dt $a -qn 'victim$target:::step { printf("%d %s;", arg0, copyinstr(arg1)); } victim$target:::box-made { printf("box %d;", args[0]->height); }' -c /opt/victim-usdt)
like 'USDT probes' "$seen" '1 /opt/victim-usdt;'
like 'with arguments in structures' "$seen" 'box 4;'
like 'functions, and stacks with names of the files there' \
	"$(dt $a -qn 'pid$target:victim-usdt:victim_steps:entry { ustack(); exit(0); }' -c /opt/victim-usdt)" 'victim-usdt`main\+0x'

# --- stacks of what keeps no frame pointers, through the zone's own files
cp /root/victim-stack $root/opt/
stack() { dt $a "$@" | tr -s ' \n' ' '; }
at='\+0x[0-9a-f]+ '
whole="victim-stack\`stack_compare$at.*libc.so.6\`qsort_r$at.*stack_sort$at.*\`main$at.*libc.so.6\`__libc_start_main$at.*\`_start$at"
like 'a stack without frame pointers' "$(stack -qn 'syscall::getppid:entry /pid == $target/ { ustack(); exit(0); }' -c /opt/victim-stack)" "$whole"
like 'the key of a process that is gone' "$(stack -qn 'syscall::getppid:entry /ppid == $target/ { @[ustack(40)] = count(); }' -c '/opt/victim-stack fork')" "$whole"
in_zone $a sh -c 'until [ -e /opt/enough ]; do cp /opt/victim-stack /opt/one; /opt/one; done' >/dev/null 2>&1 &
like 'of a file that only it had mapped' "$(stack -wqn 'syscall::getppid:entry /execname == "one" && ustackdepth > 1/ { raise(9); @[ustack()] = count(); exit(0); }')" "one\`stack_compare$at"
touch $root/opt/enough
like 'frame pointers alone, if asked for' "$(stack -xustackunwind=fp -qn 'syscall::getppid:entry /pid == $target/ { printf("%d", ustackdepth); exit(0); }' -c /opt/victim-stack)" '^[12] ?$'

like 'an object made there' "$(in_zone $a sh -c 'cd /tmp; echo "provider p { probe q(int); };" >p.d; for o in -h -G; do /native/usr/sbin/dtrace $o -s p.d; done; head -n 1 p.h; dd if=p.o bs=1 skip=1 count=3 2>/dev/null')" ELF

# --- what is done in the zone
in_zone $a sh -c 'echo "BEGIN { printf(\"%s from a file\", \$\$1); exit(3); }" >/tmp/a.d'
like 'a script, its argument' "$(dt $a -q -s /tmp/a.d word)" 'word from a file'
dt $a -q -s /tmp/a.d word >/dev/null
is 'and its exit status' $? 3
dt $a -wq -o /tmp/out -n 'BEGIN { printf("text"); system("echo $$ >/tmp/made"); exit(0); }' >/dev/null
is 'output to a file there' "$(in_zone $a cat /tmp/out | tr -d '\n')" text
ok 'a command of system()' in_zone $a test -s /tmp/made
like 'a command that is not there' "$(dt $a -n BEGIN -c /nonexistent)" 'failed to execute /nonexistent: No such file or directory'

# --- it ends
for when in 0.1 0.5 2; do
	in_zone $a sh -c '/native/usr/sbin/dtrace -n "syscall:::entry { @ = count(); }" & sleep '$when'; kill -9 $!' >/dev/null 2>&1
	ok "killed after $when s it leaves nothing behind" until_true 120 none_left
done
in_zone $a sh -c 'for i in $(seq 20); do /native/usr/sbin/dtrace -qn "syscall:::entry { @ = count(); }" & done; wait' >/dev/null 2>&1 &
count_is() { [ "$(consumers)" = "$1" ]; }
ok 'twenty at once' until_true 400 count_is 20
head -n 10 /sys/fs/cgroup/zones/$a/dtrace/cgroup.procs | xargs kill -9
ok 'ten of them are killed' until_true 120 count_is 10
in_zone $a sh -c 'killall -9 dtrace dtrace-zone' >/dev/null 2>&1
ok 'and the clients of the others' until_true 120 none_left
# a user namespace inside the zone's
like 'who is in it has no privileges' "$(in_zone $a unshare -U -r /native/usr/sbin/dtrace -n BEGIN 2>&1)" 'additional privileges \(a container in a zone has none'
in_zone $a unshare -U -r sh -c 'cp /bin/busybox /tmp/nested; while :; do /tmp/nested cat /etc/hostname; done' >/dev/null 2>&1 &
like "but the zone's root sees him" "$(dt $a -qn 'syscall:::entry /execname == "nested"/ { printf("%s", execname); exit(0); }')" nested
until_true 120 none_left # it is to be seen for itself, not for the one before it
in_zone $a sh -c '/native/usr/sbin/dtrace -n "syscall:::entry { @ = count(); }" >/tmp/said 2>&1' >/dev/null 2>&1 &
ok 'one that traces' until_true 120 some_left
pkill -9 -x dtraced
ok 'ends with the broker' until_true 120 none_left
like 'and says so' "$(until_true 120 in_zone $a test -s /tmp/said; in_zone $a cat /tmp/said)" 'the consumer in the global zone has ended|matched'
answers() { dt $a -qn 'BEGIN { printf("again"); exit(0); }' | grep -q again; }
ok 'the broker comes back' until_true 300 answers

# --- zones seen from the global zone
like 'one zone' "$(timeout 300 dtrace -z $b -qn 'syscall::openat:entry /execname == "busybox-b"/ { printf("%s %s", zonename, execname); exit(0); }' 2>&1)" "$b busybox-b"
seen=$(timeout 300 dtrace -z all -qn "syscall::openat:entry { @[zonename] = count(); } syscall::openat:entry /zonename == \"$a\"/ { a++; }
	syscall::openat:entry /zonename == \"$b\"/ { b++; } tick-1s /a && b/ { exit(0); }" 2>&1)
like 'all of them' "$seen" "$a"
like 'the other too' "$seen" "$b"
until_true 120 none_left
in_zone $a sh -c '/native/usr/sbin/dtrace -n "syscall:::entry { @ = count(); }"' >/dev/null 2>&1 &
ok 'one that traces while its zone is halted' until_true 120 some_left
for zone in $a $b; do ok "zone $zone is deleted" vmadm delete $zone; done
is 'no cgroup is left' "$(ls -d /sys/fs/cgroup/zones/*/ 2>/dev/null)" ''
