/* Calls f_tick every millisecond; every other call fails. */
#include <unistd.h>

static volatile int sink;

int f_tick(int n) { sink = n; return n & 1 ? -1 : n; }

int main(void) {
    for (int n = 0; n < 60000; n++) {
        f_tick(n);
        usleep(1000);
    }
    return 0;
}
