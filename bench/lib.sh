# bench/lib.sh: rows of a table, for a benchmark's own output and for that of bench/run.
#
#   columns OURS PEER                         the heading
#   row WHAT OURS PEER UNIT [TARGET]          and the ratio; TARGET is what it should be at most
bench_name=$(basename "$(dirname "$(realpath "$0")")")
columns() { printf '%-10s %-42s %14s %14s %8s %8s\n' '' WHAT "$1" "$2" RATIO TARGET; }
row() {
	awk -v OFS='\t' -v n="$bench_name" -v w="$1" -v a="$2" -v b="$3" -v u="$4" -v t="${5:--}" \
		'BEGIN { print n, w, a " " u, b " " u, sprintf("%.2f", b ? a / b : 0), t }' |
		tee -a "${BENCH_TABLE:-/dev/null}" | print_rows
}
print_rows() {
	awk -F'\t' '{
		missed = ""
		if ($6 != "-" && $5 + 0 > $6 + 0)
			missed = "  missed"
		printf "%-10s %-42s %14s %14s %8s %8s%s\n", $1, $2, $3, $4, $5, $6, missed
	}'
}
