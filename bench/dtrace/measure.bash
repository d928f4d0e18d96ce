# Runs where it is to be measured: measure.bash DIR (bench, floor.bpf.o, dtrace, lib/) BPFTRACE...
# Prints two tables: start-up in ms, cost per event in ns, each with ratios.
set -u
dir=$1
shift
bpftrace=("$@")
dt=("$dir/dtrace" -xsyslibdir="$dir/lib" -q)
calls=${CALLS:-5000} rounds=${ROUNDS:-100}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0 && a != "-") printf "%.2f", a / b; else printf "-" }'; }
best() { # N CMD...: the least of N runs
	local n=$1 i t least=-
	shift
	for i in $(seq "$n"); do
		t=$("$@" 2>"$dir/err") || { [ -s "$dir/err" ] && head -c 300 "$dir/err" >&2; echo -; return; }
		least=$(awk -v a="$least" -v b="$t" 'BEGIN { print a == "-" || b < a ? b : a }')
	done
	echo "$least"
}

# --- start-up: something must happen for a probe to fire
(while :; do "$dir/bench" load 100 1; read -r x </proc/uptime; done) >/dev/null 2>&1 &
busy=$!
trap 'kill $busy 2>/dev/null' EXIT
libc=$(ldd "$dir/bench" | awk '/libc\.so/ { print $3 }')
printf '%-34s %10s %10s %8s\n' 'START-UP (ms to the first record)' dtrace bpftrace ratio
start() { # NAME D BPFTRACE
	local d b
	d=$(best 5 "$dir/bench" first MARK "${dt[@]}" -n "$2")
	b=$(best 3 "$dir/bench" first MARK "${bpftrace[@]}" -B none -e "$3")
	printf '%-34s %10s %10s %8s\n' "$1" "$d" "$b" "$(ratio "$d" "$b")"
}
start 'BEGIN' 'BEGIN { printf("MARK\n"); exit(0); }' 'BEGIN { printf("MARK\n"); exit(); }'
start 'one system call' 'syscall::getppid:entry { printf("MARK\n"); exit(0); }' \
	'tracepoint:syscalls:sys_enter_getppid { printf("MARK\n"); exit(); }'
[ -n "${NO_FBT:-}" ] || start 'one kernel function' 'fbt::vfs_read:entry { printf("MARK\n"); exit(0); }' \
	'kfunc:vmlinux:vfs_read { printf("MARK\n"); exit(); }'
[ -n "${NO_PID:-}" ] || start 'one function of a process' \
	"pid$busy:libc.so.6:read:entry { printf(\"MARK\\n\"); exit(0); }" \
	"uprobe:$libc:read /pid == $busy/ { printf(\"MARK\\n\"); exit(); }"
kill $busy
wait $busy 2>/dev/null
trap - EXIT

# --- per event: getppid() in a loop, with and without somebody looking
settled() { # PID: programs are loaded and it has gone to sleep
	local cpu last= same=0
	while kill -0 "$1" 2>/dev/null; do
		if cat /proc/"$1"/fdinfo/* 2>/dev/null | grep -q '^prog_id\|^link_id'; then
			cpu=$(awk '{ sub(/.*\) /, ""); print $12 + $13 }' /proc/"$1"/stat)
			[ "$cpu" = "$last" ] && same=$((same + 1)) || same=0
			[ $same -ge 5 ] && return 0
			last=$cpu
		fi
		read -rt 0.1 <>"$dir/fifo"
	done
	return 1
}
[ -p "$dir/fifo" ] || mkfifo "$dir/fifo"
under() { # CMD...: nanoseconds per call while it runs
	"$@" >/dev/null 2>"$dir/err" &
	local pid=$! ns=-
	if settled $pid; then
		ns=$("$dir/bench" load "$calls" "$rounds")
	else
		head -c 300 "$dir/err" >&2
	fi
	kill -INT $pid 2>/dev/null
	(read -rt 5 <>"$dir/fifo"; kill -9 $pid 2>/dev/null) &
	local guard=$!
	wait $pid 2>/dev/null
	kill $guard 2>/dev/null
	echo "$ns"
}
base=$("$dir/bench" load "$calls" "$rounds")
printf '\n%-26s %9s %9s %9s %9s %9s\n' "PER EVENT (ns; base $base)" floor dtrace bpftrace /floor /bpftrace
event() { # NAME ROW D BPFTRACE
	local f d b
	f=$(under "$dir/bench" floor "$dir/floor.bpf.o" "$2")
	d=$(under "${dt[@]}" -n "$3")
	b=$(under "${bpftrace[@]}" -e "$4")
	f=$(awk -v a="$f" -v b="$base" 'BEGIN { print a == "-" ? a : a - b }')
	d=$(awk -v a="$d" -v b="$base" 'BEGIN { print a == "-" ? a : a - b }')
	b=$(awk -v a="$b" -v b="$base" 'BEGIN { print a == "-" ? a : a - b }')
	printf '%-26s %9s %9s %9s %9s %9s\n' "$1" "$f" "$d" "$b" "$(ratio "$d" "$f")" "$(ratio "$d" "$b")"
}
bt=tracepoint:syscalls:sys_enter_getppid
event 'count' count 'syscall::getppid:entry { @ = count(); }' "$bt { @ = count(); }"
event 'by execname' key 'syscall::getppid:entry { @[execname] = count(); }' "$bt { @[comm] = count(); }"
event 'quantize' quantize 'syscall::getppid:entry { @ = quantize(pid); }' "$bt { @ = hist(pid); }"
event 'three fields' trace 'syscall::getppid:entry { printf("%d %d %s\n", pid, tid, execname); }' \
	"$bt { printf(\"%d %d %s\\n\", pid, tid, comm); }"
event 'by ustack' ustack 'syscall::getppid:entry { @[ustack(20)] = count(); }' "$bt { @[ustack(20)] = count(); }"
