#!/bin/bash
# The power goes while a VM is made and an image is received: what was finished is there afterwards,
# what was not leaves nothing, and both can be done again.
. "$(dirname "$0")/lib.sh"
plan 9
images tiny lx
dir=build/power-cut
rm -rf $dir
trap 'tools/node --stop cut >/dev/null 2>&1; rm -rf $dir; kill $server' EXIT
file() { echo "$IMAGES_TREE/images/$1/file"; }

vm() { # ALIAS UUID
	echo "{\"brand\":\"lx\",\"uuid\":\"$2\",\"kernel_version\":\"6.12\",\"image_uuid\":\"$uuid_tiny\",\"alias\":\"$1\",\"max_physical_memory\":64,\"quota\":1}"
}
done_vm=aaaaaaaa-1111-4111-8111-111111111111 half_vm=bbbbbbbb-2222-4222-8222-222222222222

# First boot: one image and one VM finished; then one of each under way when the power goes.  The VM is stopped in the middle,
# so that it cannot be finished before; what was finished all the same is begun again.
node --keep cut --disk-dir $dir --timeout 900 --put "$(file "$uuid_tiny"):/root/tiny" --put $IMAGES_TREE/tiny.imgmanifest:/root/tiny.json \
	--put "$(file "$uuid_lx"):/root/lx" --put $IMAGES_TREE/lx.imgmanifest:/root/lx.json -- "
	imgadm install -m /root/tiny.json -f /root/tiny >/dev/null && echo '$(vm done $done_vm)' | vmadm create 2>&1 && sync
	under_way() {
		imgadm install -m /root/lx.json -f /root/lx & image=\$!
		echo '$(vm half $half_vm)' | vmadm create & vm=\$!
		until zfs list zones/$half_vm; do [ -d /proc/\$vm ] || break; done
		kill -STOP \$vm
		until zfs list zones/$uuid_lx-partial; do [ -d /proc/\$image ] || break; done
		ls /var/vm/journal | grep $half_vm && zfs list zones/$uuid_lx-partial && return
		kill -CONT \$vm; wait; vmadm delete $half_vm; imgadm delete $uuid_lx
		false
	}
	for i in 1 2 3 4 5; do under_way >/dev/null 2>&1 && break; done
	zfs list -H -o name; echo NOW; sleep 600" 2>build/power-cut.log | while IFS= read -r line; do
	echo "$line"
	[ "$line" != NOW ] || { kill -9 "$(cat build/node/cut/pid)"; break; }
done >build/power-cut.out
like 'a VM was finished before' "$(cat build/power-cut.out)" "Successfully created VM $done_vm"
like 'an image was being received' "$(cat build/power-cut.out)" "$uuid_lx-partial"
like 'and a VM made' "$(cat build/power-cut.out)" "zones/$half_vm"
tools/node --stop cut >/dev/null 2>&1

out=$(node --keep cut --disk-dir $dir --timeout 900 --put "$(file "$uuid_lx"):/root/lx" --put $IMAGES_TREE/lx.imgmanifest:/root/lx.json -- "
	svcs -x; vmadm list -H -o uuid,state | tr -s ' ' | sed 's/^/vm /'; imgadm list -H -o uuid | sed 's/^/image /'
	imgadm install -m /root/lx.json -f /root/lx 2>&1
	echo '$(vm half $half_vm)' | vmadm create 2>&1
	vmadm list -H -o uuid | wc -l | sed 's/^/vms /'; zfs list -H -o name | grep -c partial | sed 's/^/partials /'" 2>>build/power-cut.log)
like 'the finished VM runs again' "$out" "^vm $done_vm running"
if grep -q "^vm $half_vm" <<<"$out"; then fail 'no half VM is listed' "$out"; else pass 'no half VM is listed'; fi
is 'nor half an image' "$(grep -c '^image' <<<"$out")" 1
like 'the image can be installed' "$out" "^Installed image $uuid_lx"
like 'the VM can be created' "$out" "^Successfully created VM $half_vm"
is 'and nothing else is left' "$(grep -E '^vms|^partials' <<<"$out" | tr '\n' ' ')" 'vms 2 partials 0 '
finish
