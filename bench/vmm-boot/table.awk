# RESULT lines to a table: the mean of each VMM's runs, and its ratio to the first peer.
/^RESULT/ {
	name = $2
	if (!(name in n)) order[++count] = name
	n[name]++
	for (i = 3; i <= NF; i++) { split($i, kv, "="); sum[name, kv[1]] += kv[2] }
}
END {
	printf "%-20s %9s %8s %8s %8s %10s %10s %8s\n", "VMM", "ms", "exits", "io", "mmio", "beyond kB", "anon kB", "ratio"
	for (i = 1; i <= count; i++) {
		v = order[i]
		printf "%-20s %9.1f %8d %8d %8d %10d %10d %8.2f\n", v, sum[v, "ms"] / n[v], sum[v, "exits"] / n[v], sum[v, "io"] / n[v], sum[v, "mmio"] / n[v], sum[v, "rss_kb"] / n[v], sum[v, "anon_kb"] / n[v], (sum[order[1], "ms"] / n[order[1]]) / (sum[v, "ms"] / n[v])
	}
	print "ratio: the first row's time divided by the row's (below 1: the first is faster)"
}
