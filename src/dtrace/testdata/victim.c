/*
 * A program to be traced.  Without arguments it calls its functions three
 * times and ends; with one it goes round until its standard input is closed,
 * one line of output a round for each line it reads.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int victim_sum(int a, int b, int c, int d, int e, int f, long g, long h);
int victim_outer(int n, const char *text);
struct point {
	int x, y;
	char name[8];
};
int victim_point(const struct point *p);

static volatile int sink;

__attribute__((noipa)) int
victim_sum(int a, int b, int c, int d, int e, int f, long g, long h)
{
	return a + b * c + d + e + f + (int)g + (int)h;
}

__attribute__((noipa)) int
victim_point(const struct point *p)
{
	return p->x + p->y;
}

__attribute__((noipa)) int
victim_outer(int n, const char *text)
{
	struct point p = {n, 7, "corner"};
	int r = victim_sum(n, 2, 3, 4, 5, 6, 70, 80);

	r += victim_point(&p);
	sink = (int)strlen(text) + r;
	return r + 1;
}

int
main(int argc, char **argv)
{
	char line[64];

	if (argc < 2) {
		for (int i = 0; i < 3; i++)
			victim_outer(i, "text");
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin))
		printf("%d\n", victim_outer(1, line));
	return 0;
}
