/* Calls that end by jumping into another function; compiled with -O2. */
#include <stdlib.h>

static volatile int sink;

__attribute__((noinline)) int f_last(int n) { sink += n; return sink; }
__attribute__((noinline)) int f_middle(int n) { sink++; return f_last(n + 1); }
__attribute__((noinline)) int f_first(int n) { sink++; return f_middle(n + 1); }
__attribute__((noinline)) void f_both(int n) { f_first(n); f_last(n); sink++; }

int main(int count, char **arguments) {
    int n = count > 1 ? atoi(arguments[1]) : 1;
    for (int i = 0; i < n; i++) {
        f_first(i);
        f_both(i);
    }
    return 0;
}
