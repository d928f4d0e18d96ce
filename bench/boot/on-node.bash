# On the node: when the last service was online, in seconds since the kernel started, and how long that
# was after stage 1 gave way to init; memory in use as tests/budget.t counts it.
set -euo pipefail
case $1 in
smf)
	until ! svcs -H -o nsta | grep -q '[A-Z]'; do sleep 1; done
	! svcs -H -o state | grep -qvE 'online|disabled' || { svcs -x >&2; exit 1; }
	# Wall clock to time since the start: both are read one after the other.
	now=$EPOCHREALTIME; up=$(cut -d' ' -f1 /proc/uptime)
	svcprop -p restarter/state_timestamp '*' | awk -v now="$now" -v up="$up" \
		'{ if ($NF > t) t = $NF } END { print t - now + up }' ;;
systemd)
	state=$(systemctl is-system-running --wait) || { echo "$state"; systemctl --failed >&2; exit 1; }
	until [ "$(systemctl show -p FinishTimestampMonotonic --value)" != 0 ]; do sleep 1; done
	systemctl show -p FinishTimestampMonotonic --value | awk '{ print $1 / 1000000 }' ;;
esac | {
	read -r online
	# The last word of stage 1: it always has something to copy on these nodes.
	dmesg | sed -n 's/^\[ *\([0-9.]*\)\] stage1: .*copied.*/\1/p' |
		awk -v t="$online" '{ printf "online %.2f\ninit %.2f\n", t, t - $1 }'
}
awk '/^MemTotal/ { t = $2 } /^MemFree/ { f = $2 } /^Buffers/ { b = $2 } /^Cached/ { c = $2 } /^Shmem:/ { s = $2 } /^SReclaimable/ { r = $2 }
	END { printf "memory %.1f\n", (t - f - b - c + s - r) / 1024 }' /proc/meminfo
