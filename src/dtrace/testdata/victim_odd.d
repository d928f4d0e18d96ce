/* The probes of testdata/victim_odd.c: of a type that nobody knows, of a value that cannot be had. */
provider odd {
	probe lost(enum nowhere where);
	probe far(int number);
};
