#!/bin/bash
# Setting a node up: unattended on 1, 2 and 4 disks, and typed on the console.
. "$(dirname "$0")/lib.sh"
plan 25
dir=build/boot-install
rm -rf $dir; mkdir -p $dir
trap 'tools/node --stop dialogue >/dev/null 2>&1; tools/node --stop install-cut >/dev/null 2>&1; tools/node --stop media >/dev/null 2>&1; kill ${server:-} 2>/dev/null; rm -rf $dir' EXIT

look='zpool list -H -o health zones; zpool status zones | grep -oE "(mirror|raidz[0-9])-[0-9]+|vd[a-z]3" | paste -sd" "
zfs list -H -o name,mountpoint | paste -sd";"; svcs -H -o state,fmri | grep -v ^online; hostname
ls /usbkey /usbkey/ssh /etc/zones -d; blkid -s TYPE -o value /dev/vda2; sysinfo | json "Zpool Disks" 2>/dev/null'

# The node with one disk may be the saved one: that was set up like the others.
for n in 1 2 4; do
	fresh=--fresh; [ $n -gt 1 ] || fresh=
	out=$(node $fresh --disks $n -- "$look" 2>&1)
	like "$n disks: the pool is there" "$out" '^ONLINE$'
	case $n in
	1) like '1 disk: one vdev' "$out" '^vda3$' ;;
	2) like '2 disks: a mirror' "$out" '^mirror-0 vda3 vdb3$' ;;
	4) like '4 disks: raidz1' "$out" '^raidz1-0 vda3 vdb3 vdc3 vdd3$' ;;
	esac
	like "$n disks: no service failed" "$out" '^atoll$'
	if grep -qE '^(maintenance|offline|degraded) ' <<<"$out"; then
		fail "$n disks: every service is online" "$out"
	else
		pass "$n disks: every service is online"
	fi
done

# Typed: a fixed address, a bad answer here and there, "no" once, then "yes".
cat >build/dialogue.exp <<'END'
set timeout 600
log_user 0
spawn socat STDIO unix-connect:build/node/dialogue/console
proc answer {prompt text} {
	expect {
		-re $prompt { send -- "$text\r" }
		timeout { puts "no prompt $prompt"; exit 1 }
		eof { puts "the console is gone before $prompt"; exit 1 }
	}
}
answer "Admin NIC" "eth9"
answer "none of this machine's NICs.*Admin NIC" "auto"
answer "IP address" "10.0.2.15"
answer "Netmask" "255.0.255.0"
answer "no netmask.*Netmask" "255.255.255.0"
answer "gateway" "10.0.2.2"
answer "Primary DNS" "10.0.2.3"
answer "Secondary DNS" "none"
answer "search domain" "example.org"
answer "NTP server" "none"
answer "Pool layout" "raidz1"
answer "Pool layout" "mirror"
answer "mirror of vda, vdb.*Use this layout" "yes"
answer "Boot from the pool" "no"
answer "Root password: " "typed1"
answer "Root password again: " "typed2"
answer "not the same.*Root password: " "typed1"
answer "Root password again: " "typed1"
answer "Host name" "typed"
answer "Type yes to go on" "y"
answer "neither yes nor no.*Type yes" "yes"
expect {
	"The node is set up" { }
	timeout { puts "it was not set up"; exit 1 }
}
answer "typed login: " "root"
answer "Password: " "typed1"
expect {
	-re "root@typed|# $" { send "cat /usbkey/config\r" }
	timeout { puts "no shell after the login"; exit 1 }
}
expect {
	"admin_ip=10.0.2.15" { }
	timeout { puts "no configuration"; exit 1 }
}
puts "dialogue done"
END
tools/sysroot run true
(node --keep dialogue --disks 2 --answers '' --timeout 900 -- true >build/dialogue.log 2>&1) &
for ((i = 0; i < 3000; i++)); do [ -S build/node/dialogue/console ] && break; sleep 0.2; done
out=$(tools/sysroot run expect build/dialogue.exp 2>&1)
like 'the dialogue, typed on the console, sets the node up and root logs in' "$out" '^dialogue done'
wait
out=$(node --keep dialogue -- 'cat /usbkey/config; zpool status zones; cat /etc/resolv.conf' 2>&1)
like 'the address that was typed' "$out" '^admin_ip=10.0.2.15$'
like 'the layout that was typed' "$out" 'mirror-0'
like 'the name servers that were typed' "$out" '^nameserver 10.0.2.3$'
is 'no password in the configuration' "$(grep -c typed1 <<<"$out")" 0

# From the ISO: the image is taken from the medium, and from then on the node boots from its disk.
sed 's/"bootpool": "no"/"bootpool": "media"/' tools/node.d/answers.json >$dir/media.json
out=$(node --keep media --iso --disk-dir $dir/disks --timeout 900 --answers $dir/media.json -- \
	'piadm list -p; poweroff' 2>&1)
like 'bootpool=media installs the image of the medium' "$out" ':zones/boot:active:yes:yes$'
for ((i = 0; i < 300; i++)); do tools/node --list | grep -q '^media ' || break; sleep 1; done
tools/node --stop media
out=$(node --own --disk-dir $dir/disks --timeout 900 -- 'bootparams; hostname; zpool list -H -o health zones' 2>&1)
like 'the node boots from its disk' "$out" '^boot=disk$'
like 'with its pool' "$out" '^ONLINE$'

# The power fails while the pool is made; the next boot begins anew.
(node --keep install-cut --fresh --disk-dir $dir/cut --timeout 900 -- true >/dev/null 2>&1) &
cut_short() { grep -q 'making dump and swap' build/node/install-cut/console.log; }
ok 'an installation is under way' until_true 900 cut_short
tools/node --stop install-cut
wait
out=$(node --disk-dir $dir/cut -- 'zpool list -H -o health zones; hostname' 2>&1)
like 'cut short by a power failure it is begun anew' "$out" '^atoll$'
like 'with a new pool' "$out" '^ONLINE$'

# answers.json over HTTP; the address comes by DHCP.
sed 's/"hostname": "[^"]*"/"hostname": "overhttp"/' tools/node.d/answers.json >$dir/a.json
serve tools/sysroot run busybox httpd -f -p 127.0.0.1:@ -h "$top/$dir"
out=$(node --answers '' --timeout 900 --append "answers=http://10.0.2.2:$port/a.json" -- 'hostname; zpool list -H -o health zones' 2>&1)
like 'answers= names a URL' "$out" '^overhttp$'
like 'and the pool is made' "$out" '^ONLINE$'
finish
