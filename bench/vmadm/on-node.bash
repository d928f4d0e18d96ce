# On the node: on-node.bash IMAGE-UUID.  Prints what, ours and the floor in ms, between tabs.
set -euo pipefail
image=$1
ms() { local t=$EPOCHREALTIME; "$@" >/dev/null 2>&1; echo $((${EPOCHREALTIME/./} - ${t/./})); }	# microseconds
best() { local b=0 t i; for i in 1 2 3 4 5; do t=$(ms "$@"); [ $b -ne 0 ] && [ $b -le $t ] || b=$t; done; echo $b; }
ratio() { awk -v OFS='\t' -v n="$1" -v a="$2" -v b="$3" 'BEGIN { print n, sprintf("%.1f", a / 1000), sprintf("%.1f", b / 1000) }'; }

# vmadm create + boot against the floor: five of each, the best counts.
zfs set mountpoint=/zones/$image zones/$image >/dev/null 2>&1 || true
ours=0 floor=0
for i in 1 2 3 4 5; do
	sed "s/IMAGE/$image/; s/ALIAS/bench$i/" >/tmp/p.json <<'JSON'
{"brand":"lx","kernel_version":"6.12","image_uuid":"IMAGE","alias":"ALIAS","max_physical_memory":64,"quota":1}
JSON
	t=$(ms vmadm create -f /tmp/p.json)
	[ $ours -ne 0 ] && [ $ours -le $t ] || ours=$t
	f=$(/root/floor zones/$image zones/floor$i); f=${f/./}00
	[ $floor -ne 0 ] && [ $floor -le $f ] || floor=$f
	zfs destroy zones/floor$i
done
ratio 'vmadm create, tiny LX / floor' $ours $floor
for u in $(vmadm list -p -H -o uuid); do vmadm delete $u 2>/dev/null; done

# vmadm list of 500 against ls /etc/zones: configurations as zonecfg leaves them.
vmadm create -f /tmp/p.json 2>/dev/null
u=$(vmadm list -p -o uuid | head -1)
vmadm stop -F $u 2>/dev/null
for i in $(seq 500); do
	n=$(printf '%08x-0000-4000-8000-%012x' $i $i)
	sed "s/$u/$n/g" /etc/zones/$u.xml >/etc/zones/$n.xml
	sed -n "s/$u/$n/gp" /etc/zones/index >>/etc/zones/index.add
done
cat /etc/zones/index.add >>/etc/zones/index
[ "$(vmadm list -H -p -o uuid | wc -l)" -ge 500 ]
ratio 'vmadm list of 500 / ls /etc/zones' $(best vmadm list) $(best ls /etc/zones)
