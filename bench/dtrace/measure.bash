# Runs where it is to be measured: measure.bash DIR, with bench, floor.bpf.o, dtrace and lib/ in DIR and
# the peers' trees in $BPFTRACE_ROOT and $ORACLE_ROOT (left out where they are empty).
# Prints lines "row WHAT OURS PEER UNIT TARGET" for bench/lib.sh, tabs between, and "say TEXT".
set -u
dir=$1
calls=${CALLS:-5000} rounds=${ROUNDS:-400} turns=${TURNS:-3}
NO_FBT=${NO_FBT:-} NO_PID=${NO_PID:-}
rows=" ${ROWS:-list start fbt event memory rate} "
ours=("$dir/dtrace" -xsyslibdir="$dir/lib")
lib=${BPFTRACE_ROOT:-}/usr/lib/x86_64-linux-gnu
bpftrace=("$lib/ld-linux-x86-64.so.2" --library-path "$lib" "${BPFTRACE_ROOT:-}/usr/bin/bpftrace")
# In a chroot: its BEGIN is a uprobe on its own file, which must be itself and not ld.so.
oracle=(chroot "${ORACLE_ROOT:-}" /usr/sbin/dtrace ${ORACLE_OPTIONS:-})

row() { local IFS=$'\t'; echo "row	$*"; } # WHAT OURS PEER UNIT TARGET
say() { echo "say	$*"; }
wants() { [[ $rows == *" $1 "* ]]; }
has() { # PEER
	case $1 in
	bpftrace) [ -n "${BPFTRACE_ROOT:-}" ] ;;
	Oracle)	[ -n "${ORACLE_ROOT:-}" ] ;;
	esac
}
why() { tr '\n' ' ' <"$dir/err" | cut -c1-200; }
# WHAT OURS PEERNAME PEER UNIT TARGET: what one of the two cannot do is said
against() {
	if [ "$2" = - ]; then
		say "$1: ours failed: $(cat "$dir/err.ours" 2>/dev/null)"
	elif [ "$4" = - ]; then
		say "$1: $2 $5; $3 cannot: $(why)"
	else
		row "$1 : $3" "$2" "$4" "$5" "$6"
	fi
}
best() { # N CMD...: the least of N runs, or - and the reason in $dir/err
	local n=$1 i t least=-
	shift
	for i in $(seq "$n"); do
		t=$(timeout 400 "$@" 2>"$dir/err") || { echo -; return; }
		least=$(awk -v a="$least" -v b="$t" 'BEGIN { print a == "-" || b < a ? b : a }')
	done
	echo "$least"
}

# --- all probes
if wants list; then
	o=$(best 3 "$dir/bench" all "${ours[@]}" -l)
	cp "$dir/err" "$dir/err.ours"
	say "dtrace -l: $(why)"
	[ "$o" = - ] || row 'all probes listed : 1 s' "$o" 1000 ms 1
	for p in bpftrace Oracle; do
		has $p || continue
		if [ $p = bpftrace ]; then t=$(best 1 "$dir/bench" all "${bpftrace[@]}" -l '*')
		else t=$(best 1 "$dir/bench" all "${oracle[@]}" -l); fi
		[ "$t" = - ] || say "$p -l: $(why)"
		against 'all probes listed' "$o" $p "$t" ms 0.25
	done
	for a in '-n syscall:::' '-P syscall' '-m vmlinux' '-i 1'; do
		o=$(best 2 "$dir/bench" all "${ours[@]}" -l $a 2>/dev/null)
		[ "$o" = - ] || say "dtrace -l $a: $o ms"
	done
fi

# what never has anything to read: read -t waits
[ -p "$dir/fifo" ] || { rm -f "$dir/fifo"; mkfifo "$dir/fifo"; }

# --- start-up: something must happen for a probe to fire
start() { # NAME D BPFTRACE [MS: what ours may take]
	local d t
	d=$(best 7 "$dir/bench" first MARK "${ours[@]}" -q -n "$2")
	cp "$dir/err" "$dir/err.ours"
	[ -z "${4:-}" ] || [ "$d" = - ] || row "start: $1 : $4 ms" "$d" "$4" ms 1
	if has bpftrace; then
		t=$(best 3 "$dir/bench" first MARK "${bpftrace[@]}" -B none -e "$3")
		against "start: $1" "$d" bpftrace "$t" ms 0.25
	fi
	if has Oracle; then
		t=$(best 1 "$dir/bench" first MARK "${oracle[@]}" -q -n "$2")
		against "start: $1" "$d" Oracle "$t" ms 0.25
	fi
}
if wants start; then
	# Enough of both, and little work: start-up is measured, not a processor shared with somebody.
	"$dir/bench" pace 1000 3600000 >/dev/null 2>&1 &
	calling=$!
	(while :; do read -r x </proc/uptime; read -rt 0.01 x <>"$dir/fifo"; done) >/dev/null 2>&1 &
	busy=$!
	trap 'kill $busy $calling 2>/dev/null' EXIT
	libc=$(ldd "$dir/bench" | awk '/libc\.so/ { print $3 }')
	start BEGIN 'BEGIN { printf("MARK\n"); exit(0); }' 'BEGIN { printf("MARK\n"); exit(); }'
	start 'a system call' 'syscall::getppid:entry { printf("MARK\n"); exit(0); }' \
		'tracepoint:syscalls:sys_enter_getppid { printf("MARK\n"); exit(); }' 100
	t=$(best 5 "$dir/bench" all "${ours[@]}" -q -n 'syscall::getppid:entry { printf("MARK\n"); exit(0); }')
	say "a system call, from exec to the process's end: $t ms"
	[ -n "$NO_FBT" ] || start 'a kernel function' 'fbt::vfs_read:entry { printf("MARK\n"); exit(0); }' \
		'kfunc:vmlinux:vfs_read { printf("MARK\n"); exit(); }'
	[ -n "$NO_PID" ] || start 'a function of a process' \
		"pid$busy:libc.so.6:read:entry { printf(\"MARK\\n\"); exit(0); }" \
		"uprobe:$libc:read /pid == $busy/ { printf(\"MARK\\n\"); exit(); }"
	kill $busy $calling
	wait $busy $calling 2>/dev/null
	trap - EXIT
fi

# --- while somebody looks: nanoseconds per getppid(), memory
base=- load=load
settled() { # PID: programs are loaded and it has gone to sleep
	local cpu last= same=0
	while kill -0 "$1" 2>/dev/null; do
		if cat /proc/"$1"/fdinfo/* 2>/dev/null | grep -q '^prog_id\|^link_id' ||
			find /proc/"$1"/fd -lname 'anon_inode:\[perf_event\]' 2>/dev/null | grep -q .; then
			cpu=$(awk '{ sub(/.*\) /, ""); print $12 + $13 }' /proc/"$1"/stat)
			[ "$cpu" = "$last" ] && same=$((same + 1)) || same=0
			[ $same -ge 5 ] && return 0
			last=$cpu
		fi
		read -rt 0.1 <>"$dir/fifo"
	done
	return 1
}
# What is its own of the memory, and that of its BPF maps (each once: not as mapped), in KiB.
memory() {
	awk '/^[0-9a-f]+-/ { map = /anon_inode:bpf-map/ } /^Pss:/ && !map { n += $2 } END { print n + 0 }' \
		/proc/"$1"/smaps
	cat /proc/"$1"/fdinfo/* 2>/dev/null | awk '/^memlock:/ { size = $2 }
		/^map_id:/ && !seen[$2]++ { n += size } END { printf "%d\n", n / 1024 }'
}
ended() { # PID
	kill -TERM "$1" 2>/dev/null # SIGINT is ignored by what a script starts in the background
	(read -rt 20 <>"$dir/fifo"; kill -9 "$1" 2>/dev/null) &
	local guard=$!
	wait "$1" 2>/dev/null
	kill $guard 2>/dev/null
	wait $guard 2>/dev/null
}
# NAME CMD...: nanoseconds per call while it runs, if less than $NAME, to $NAME; its memory to memory_NAME
under() {
	local name=$1 ns pid
	shift
	"$@" >/dev/null 2>"$dir/err.$name" &
	pid=$!
	if settled $pid; then
		ns=$("$dir/bench" $load "$calls" "$rounds")
		eval "$name=\$(least \$$name $ns); memory_$name='$(memory $pid | tr '\n' ' ')'"
	fi
	ended $pid
}
least() { awk -v a="$1" -v b="$2" 'BEGIN { print a == "-" || b + 0 < a + 0 ? b : a }'; } # A or - B
above() { [ "$1" = - ] && echo - || awk -v a="$1" -v b="$base" 'BEGIN { printf "%.1f\n", a - b }'; }
event() { # NAME ROW D BPFTRACE
	local floor=- ours_ns=- peer memory_floor memory_ours_ns='' memory_peer i p d dp dm tp tm
	# In turns: what else goes on disturbs them alike, and the least is of the quietest moment.  Where a
	# trampoline comes to lie is chance, too, and under TCG a third of what it costs.
	for ((i = 0; i < turns; i++)); do
		base=$(least "$base" "$("$dir/bench" $load "$calls" "$rounds")")
		under floor "$dir/bench" floor "$dir/floor.bpf.o" "$2"
		under ours_ns "${ours[@]}" -q -n "$3"
	done
	cp "$dir/err.ours_ns" "$dir/err.ours"
	d=$(above "$ours_ns")
	cp "$dir/err.floor" "$dir/err"
	against "event: $1" "$d" floor "$(above "$floor")" ns 1.15
	for p in bpftrace Oracle; do
		has $p || continue
		peer=- memory_peer=''
		if [ $p = bpftrace ]; then under peer "${bpftrace[@]}" -e "$4"
		else under peer "${oracle[@]}" -q -n "$3"; fi
		cp "$dir/err.peer" "$dir/err"
		against "event: $1" "$d" $p "$(above "$peer")" ns 1
		[ "$peer" != - ] && [ "$d" != - ] && wants memory || continue
		read -r dp dm <<<"$memory_ours_ns"
		read -r tp tm <<<"$memory_peer"
		say "memory: $1: process and maps of ours $dp and $dm KiB, of $p $tp and $tm"
		row "memory: $1 : $p" $((dp + dm)) $((tp + tm)) KiB 1
	done
}
if [ -z "$NO_FBT" ] && wants fbt; then
	turns=$((2 * turns))
	event 'a kernel function' function 'fbt::__do_sys_getppid:entry { @ = count(); }' \
		'kfunc:vmlinux:__do_sys_getppid { @ = count(); }'
	event 'one of several' functions 'fbt::__do_sys_getp*:entry { @ = count(); }' \
		'kprobe:__do_sys_getp* { @ = count(); }'
fi
bt=tracepoint:syscalls:sys_enter_getppid
turns=${TURNS:-3}
if wants event; then
	event count count 'syscall::getppid:entry { @ = count(); }' "$bt { @ = count(); }"
	event 'by execname' key 'syscall::getppid:entry { @[execname] = count(); }' "$bt { @[comm] = count(); }"
	event quantize quantize 'syscall::getppid:entry { @ = quantize(pid); }' "$bt { @ = hist(pid); }"
	event 'three fields' trace 'syscall::getppid:entry { printf("%d %d %s\n", pid, tid, execname); }' \
		"$bt { printf(\"%d %d %s\\n\", pid, tid, comm); }"
	# Debian's libraries have no frame pointers: there ours sees whole stacks, all others two frames.
	event 'by ustack, libc' ustack 'syscall::getppid:entry { @[ustack(20)] = count(); }' "$bt { @[ustack(20)] = count(); }"
	# The same twenty frames for all.
	load=deep base=-
	event 'by ustack, 20 frames' ustack 'syscall::getppid:entry { @[ustack(20)] = count(); }' \
		"$bt { @[ustack(20)] = count(); }"
	tables=-
	under tables "${ours[@]}" -xustackunwind=fp -q -n 'syscall::getppid:entry { @[ustack(20)] = count(); }'
	say "event: by ustack, 20 frames, by -x ustackunwind=fp: $(above "$tables") ns"
fi

# --- records of three fields a second, for a second each, until one is lost
rate() { # CMD...
	"$@" >"$dir/records" 2>"$dir/err" &
	local pid=$! most=- r=500
	if settled $pid; then
		most=0
		while [ $r -lt 4000000 ] && "$dir/bench" pace $r 1000 >/dev/null && settled $pid; do
			grep -qi 'lost\|drop' "$dir/err" "$dir/records" && break
			most=$r r=$((r * 5 / 4))
		done
	fi
	ended $pid
	echo $most
	rm -f "$dir/records"
}
if wants rate; then
	f=$(rate "$dir/bench" floor "$dir/floor.bpf.o" trace)
	d=$(rate "${ours[@]}" -q -n 'syscall::getppid:entry { printf("%d %d %s\n", pid, tid, execname); }')
	cp "$dir/err" "$dir/err.ours"
	# the other way round, so that below 1 is better
	say "records a second without drops: floor $f, ours $d"
	[ "$d" = - ] || row 'time a record, no drops : floor' "$(awk -v n="$d" 'BEGIN { printf "%.2f", 1e6 / n }')" \
		"$(awk -v n="$f" 'BEGIN { printf "%.2f", 1e6 / n }')" us -
	for p in bpftrace Oracle; do
		has $p || continue
		if [ $p = bpftrace ]; then t=$(rate "${bpftrace[@]}" -e "$bt { printf(\"%d %d %s\\n\", pid, tid, comm); }")
		else t=$(rate "${oracle[@]}" -q -n 'syscall::getppid:entry { printf("%d %d %s\n", pid, tid, execname); }'); fi
		say "records a second without drops: $p $t"
		[ "$t" = - ] || [ "$d" = - ] || row "time a record, no drops : $p" \
			"$(awk -v n="$d" 'BEGIN { printf "%.2f", 1e6 / n }')" "$(awk -v n="$t" 'BEGIN { printf "%.2f", 1e6 / n }')" us 1
	done
fi
exit 0
