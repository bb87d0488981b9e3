/* Calls four functions in turn, so often as the argument says, and prints how many nanoseconds a call took. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile int sink;

void f_first(int n) { sink += n; }
void f_second(int n) { sink -= n; }
void f_third(int n) { sink ^= n; }
void f_outer(int n) { f_first(n); f_second(n); f_third(n); }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **arguments) {
    int turns = count > 1 ? atoi(arguments[1]) : 1000;
    for (int n = 0; n < turns / 10; n++) f_outer(n);
    double begun = now();
    for (int n = 0; n < turns; n++) f_outer(n);
    printf("%.1f\n", (now() - begun) / turns / 4);
    return 0;
}
