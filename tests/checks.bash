# tests/checks.bash: the checks of the system tests, each of them one call of `pass` or `fail`.  Read by
# tests/lib.sh, which numbers the results, and by the scripts that on_node runs on a node (as
# /root/checks.bash): they print them as below, and `echo end` last.
#
#   ok NAME CMD [ARG]...            passes if CMD succeeds; what it printed is shown if not
#   not NAME CMD [ARG]...           passes if CMD fails
#   is NAME GOT WANT                passes if they are the same text
#   has NAME TEXT PART              passes if PART is in TEXT
#   like NAME TEXT ERE              passes if a line of TEXT matches
#   refuses NAME PART CMD [ARG]...  passes if CMD fails and PART is in what it printed
#   until_true SECONDS CMD...       true as soon as CMD is
#   need_pool                       a pool called zones, made of the first disk if there is none
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1"; [ -z "${2:-}" ] || sed 's/^/#   /' <<<"$2"; }
ok() { local n=$1 out; shift; if out=$("$@" 2>&1); then pass "$n"; else fail "$n" "$out"; fi; }
not() { local n=$1 out; shift; if out=$("$@" 2>&1); then fail "$n" "it did not fail: $out"; else pass "$n"; fi; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got: $2
want: $3"; fi; }
has() { case $2 in *"$3"*) pass "$1" ;; *) fail "$1" "\"$3\" is not in: $2" ;; esac; }
like() { if grep -qE -- "$3" <<<"$2"; then pass "$1"; else fail "$1" "no line matches $3 in: ${2:0:2000}"; fi; }
refuses() { local n=$1 want=$2 out; shift 2; if out=$("$@" 2>&1); then fail "$n" "it did not fail: $out"; else has "$n" "$out" "$want"; fi; }
until_true() { local end=$((SECONDS + $1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 1; done; }
need_pool() { zpool list -H zones >/dev/null 2>&1 || { zpool create -O atime=off zones /dev/vda && touch /zones/.system_pool; }; }
