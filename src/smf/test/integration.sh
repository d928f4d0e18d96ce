#!/bin/bash
# SMF as a whole, in a PID and mount namespace of this machine: init, startd and configd run a set of
# small services.  usage: integration.sh BUILD_DIR; TAP on standard output.
set -u
obj=$(realpath "$1")
cd "$(dirname "$0")/.." || exit 1
. test/smf-ns

n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
bad() { n=$((n + 1)); echo "not ok $n - $1"; shift; [ $# -eq 0 ] || printf '# %s\n' "$@"; }
check() { local name=$1; shift; if "$@" >/dev/null 2>&1; then ok "$name"; else bad "$name" "failed: $*" "$(ns svcs -a 2>&1 | sed 's/^/# /')"; fi; }
state() { ns svcs -H -o state "svc:/test/$1:default"; }
is() { [ "$(state "$1")" = "$2" ]; }
settles() { # SERVICE STATE: within 10 s
	local end=$((SECONDS + 10))
	until is "$1" "$2"; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
daemon_pid() { ns svcs -Hp "svc:/test/$1:default" | awk 'NR == 2 { print $2 }'; }

if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --cgroup --fork true 2>/dev/null; then
	echo "1..0 # SKIP needs root and namespaces"
	exit 0
fi

# service NAME DURATION START STOP [DEPENDENCY-XML]
service() {
	cat >"$root/usr/lib/svc/manifest/test/$1.xml" <<-END
	<service_bundle type='manifest' name='test:$1'><service name='test/$1' type='service' version='1'>
	<create_default_instance enabled='${ENABLED:-true}'/>
	${5:-}
	<exec_method type='method' name='start' exec='$3' timeout_seconds='${TIMEOUT:-10}'/>
	<exec_method type='method' name='stop' exec='$4' timeout_seconds='10'/>
	<property_group name='startd' type='framework'><propval name='duration' type='astring' value='$2'/></property_group>
	</service></service_bundle>
	END
}
dep() { echo "<dependency name='$1' grouping='$2' restart_on='$3' type='service'>$(for s in "${@:4}"; do echo "<service_fmri value='svc:/test/$s'/>"; done)</dependency>"; }

ns_make "$obj"
trap 'ns_end' EXIT
mkdir -p "$root/usr/lib/svc/manifest/test" "$root/usr/lib/svc/method" "$root/t"
cp manifest/restarter.xml "$root/usr/lib/svc/manifest/"
cat >"$root/usr/lib/svc/method/t" <<'END'
#!/bin/sh
# t daemon NAME | once NAME | stop NAME | exit CODE | slow NAME | fork NAME
echo "$(date +%s.%N) $1 ${2:-}" >>/t/events
case $1 in
daemon)	sleep 100000 & echo $! >/t/pid.$2 ;;
stop)	[ ! -f /t/pid.$2 ] || kill $(cat /t/pid.$2) ;;
slow)	sleep 2 ;;
exit)	exit "$2" ;;
hang)	sleep 1000 ;;
env)	env >/t/env; id -u >>/t/env; pwd >>/t/env ;;
esac
exit 0
END
chmod 755 "$root/usr/lib/svc/method/t"
t=/lib/svc/method/t

service a contract "$t daemon a" "$t stop a"
service b contract "$t daemon b" "$t stop b" "$(dep a require_all restart a)"
service c transient "$t once c" "$t stop c" "$(dep b require_all none b)"
service w wait "/bin/sleep 100000" ":kill"
service fatal transient "$t exit 96" ":true"
service flaky transient "$t exit 1" ":true"
service needs-fatal transient "$t once needs-fatal" ":true" "$(dep f require_all none fatal)"
service opt transient "$t once opt" ":true" "$(dep f optional_all none fatal)"
service cyc1 transient "$t once cyc1" ":true" "$(dep c require_all none cyc2)"
service cyc2 transient "$t once cyc2" ":true" "$(dep c require_all none cyc1)"
TIMEOUT=1 service hang transient "$t hang x" ":true"
ENABLED=false service off transient "$t once off" ":true"
service env transient "$t env x" ":true" "<method_context working_directory='/tmp'><method_credential user='daemon' group='daemon'/><method_environment><envvar name='COLOUR' value='sea green'/></method_environment></method_context>"
for i in $(seq 20); do service "many$i" contract "$t daemon many$i" ":kill"; done
ENABLED=false service slow contract "$t slow slow; sleep 100000 &amp;" ":kill"
chmod 777 "$root/t"

ns_boot || { echo "1..1"; bad "init starts"; exit 1; }
ns_wait 15 sh -c '[ "$(svcs -H -o state svc:/test/c:default)" = online ]'
check "a chain of require_all comes up" settles c online
check "in order" sh -c "awk '{print \$2 \$3}' $root/t/events | grep -n 'daemona\|daemonb\|oncec' | cut -d: -f2 | tr '\n' ' ' | grep -q 'daemona daemonb oncec'"
check "a fatal exit is maintenance at once" settles fatal maintenance
check "one start only" [ "$(grep -c 'exit 96' "$root/t/events")" = 1 ]
check "three failures are maintenance" settles flaky maintenance
check "three starts" [ "$(grep -c 'exit 1$' "$root/t/events")" = 3 ]
check "require_all waits for what is in maintenance" is needs-fatal offline
check "optional_all does not" settles opt online
check "the edge that closes a cycle loses" settles cyc2 maintenance
check "a start method's time limit" settles hang maintenance
check "disabled stays disabled" is off disabled
check "a wait service" settles w online
settles env online
check "user, directory, environment, FMRI" sh -c "grep -qx 'COLOUR=sea green' $root/t/env && grep -qx '$(ns id -u daemon)' $root/t/env && grep -qx /tmp $root/t/env && grep -qx SMF_FMRI=svc:/test/env:default $root/t/env && grep -qx SMF_METHOD=start $root/t/env"
out=$(ns svcs -xv 2>&1)
check "svcs -xv names the root cause and its impact" sh -c 'echo "$1" | grep -A8 "svc:/test/fatal" | grep -q SMF_EXIT_ERR_CONFIG && echo "$1" | grep -A8 "svc:/test/fatal" | grep -q needs-fatal' - "$out"

# Restart.
old=$(daemon_pid a) oldb=$(daemon_pid b)
: >"$root/t/events"
ns kill -9 "$old"
sleep 0.3
settles a online
settles b online
check "a killed daemon is started again" sh -c "[ '$(daemon_pid a)' != '$old' ] && [ -n '$(daemon_pid a)' ]"
check "restart_on restart: a failure restarts the dependent" sh -c "[ '$(daemon_pid b)' != '$oldb' ] && [ -n '$(daemon_pid b)' ]"
old=$(ns svcprop -p restarter/start_pid w 2>/dev/null)
ns kill "$old"
sleep 0.2
settles w online
check "a wait service that ended is started again" [ "$(ns svcprop -p restarter/start_pid w)" != "$old" ]

# Administration.
check "svcadm disable -s" ns svcadm disable -s test/b
check "is disabled" is b disabled
check "its dependent with restart_on none runs on" is c online
check "the contract is empty" sh -c "[ -z '$(daemon_pid b)' ]"
check "svcadm enable -s" ns svcadm enable -s test/b
: >"$root/t/events"
check "svcadm restart -s" ns svcadm restart -s test/a
settles b online
check "a restart stops the dependent first" sh -c "awk '{print \$2 \$3}' $root/t/events | tr '\n' ' ' | grep -q 'stopb stopa daemona daemonb'"
ns svcadm enable -s test/needs-fatal; r=$?
check "enable -s of what cannot come up is exit 4" [ $r = 4 ]
ns svcadm clear -s test/fatal; r=$?
check "clear -s of what fails again is exit 3" [ $r = 3 ]
ns svccfg -s test/fatal setprop start/exec = "$t once fixed"
ns svccfg -s test/fatal:default refresh
check "a mended service comes up after clear" ns svcadm clear -s test/fatal
check "and who waited for it" settles needs-fatal online
check "mark maintenance" ns svcadm mark maintenance test/opt
check "is marked" settles opt maintenance
check "clear" ns svcadm clear -s test/opt
ns svcadm enable nonsense 2>/dev/null; r=$?
check "an unknown service is exit 1" [ $r = 1 ]

# A temporary disable dies with the boot, a comment is shown.
ns svcadm disable -st -c "being mended" test/many1
check "a comment is shown" sh -c 'echo "$1" | grep -q "being mended"' - "$(ns svcs -l test/many1)"
ns svcadm enable -s test/many1

# startd is killed at random moments while things happen: nothing lost, nothing doubled.
settled() { [ "$(ns svcs -H -o state 'test/many*' | sort | uniq -c | tr -s ' ')" = " 20 online" ]; }
for round in $(seq 12); do
	ns svcadm restart 'test/many*' >/dev/null 2>&1 &
	sleep "0.0$((RANDOM % 9))$((RANDOM % 10))"
	ns pkill -9 -x svc.startd
	wait $!
done
end=$((SECONDS + 20)); until settled; do [ $SECONDS -lt $end ] || break; sleep 0.1; done
check "kill -9 of startd: all services are online again" settled
sleep 0.5
doubled=0
for i in $(seq 20); do [ "$(ns svcs -Hp "svc:/test/many$i:default" | wc -l)" = 2 ] || doubled=$((doubled + 1)); done
check "each has exactly one daemon" [ $doubled = 0 ]
[ $doubled = 0 ] || ns svcs -p 'test/many*' | sed 's/^/# /'
check "as many processes as services" [ "$(ns pgrep -c -f 'sleep 100000')" = 23 ]
ns svcadm enable test/slow
ns_wait 5 sh -c '[ "$(svcs -H -o nstate test/slow)" = online ]'
ns pkill -9 -x svc.startd
check "a start method survives the death of startd" settles slow online
check "and ran once" [ "$(grep -c 'slow slow' "$root/t/events")" = 1 ]
ns pkill -9 -x svc.configd
check "configd is started again" ns_wait 5 svccfg list
check "and knows what it knew" ns svcadm disable -s test/slow

# Down.
: >"$root/t/events"
ns reboot
for _ in $(seq 200); do kill -0 "$ns_init" 2>/dev/null || break; sleep 0.05; done
check "reboot ends the machine" sh -c "! kill -0 $ns_init 2>/dev/null"
check "services stop in reverse order" sh -c "awk '{print \$2 \$3}' $root/t/events | grep '^stop[abc]' | tr '\n' ' ' | grep -q 'stopc stopb stopa'"
echo "1..$n"
