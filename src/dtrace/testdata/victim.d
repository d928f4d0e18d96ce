/* The probes of testdata/victim_usdt.c. */
typedef struct box {
	int width;
	int height;
} box_t;

provider victim {
	probe step(int number, char *text);
	probe box__made(box_t *b, short id);
	probe quiet();
	probe asked();
};
