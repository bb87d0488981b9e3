/* A service with faults. THREADS threads take one order after another; what is wrong with them is read from stdin, a word
   a line, and stays until the next one. Functions that are followed begin with f_; they return 0 when all went well. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4 };
enum fault { NONE, BRANCH, MISSING, ADDED, SLOW, FAILING };
static _Atomic int fault;
static volatile int sink;

int f_parse(uint32_t order) { sink = order; return 0; }
int f_load(uint32_t order) { sink = order; usleep(500); return 0; }
int f_check(uint32_t order) { sink = order + 1; return 0; }
int f_audit(uint32_t order) { sink = order + 2; return 0; }
int f_reject(uint32_t order) { sink = order + 3; return 0; }
int f_price(uint32_t order) { sink = order; usleep(fault == SLOW ? 5000 : 1000); return 0; }
int f_save(uint32_t order) { sink = order; usleep(500); return 0; }

/* One order in ten needs the store, one in a thousand fails; with the fault one in fifty. */
int f_order(uint32_t order) {
    f_parse(order);
    if (order % 10 == 0) f_load(order);
    if (fault != MISSING) f_check(order);
    f_price(order);
    if (fault == ADDED) f_audit(order);
    if (fault == BRANCH && order % 20 == 1) {
        f_reject(order);
        return 0;
    }
    f_save(order);
    return order % (fault == FAILING ? 50 : 1000) == 7 ? -1 : 0;
}

static void *work(void *number) {
    uint32_t state = 2463534242u + (uint32_t)(uintptr_t)number;
    for (;;) {
        /* xorshift32 by Marsaglia */
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        f_order(state);
    }
    return NULL;
}

int main(void) {
    static const char *const names[] = {"none", "branch", "missing", "added", "slow", "failing"};
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, (void *)i);
    }
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        for (int i = 0; i < 6; i++)
            if (!strcmp(line, names[i])) fault = i;
    }
    return 0;
}
