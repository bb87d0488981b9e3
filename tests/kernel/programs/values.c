/* Functions with arguments and results of every kind. `values orders N` takes N orders; `values many N` takes one in which a
   function is called N times, each time with another number; `values users N` logs N users in. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int64_t sink;

/* What does not fit an int is left in the upper half of the registers by whoever calls: it means nothing. */
int f_find(int kind, const char *name) {
    sink = kind + (name ? name[0] : 0);
    return kind == 3 ? -1 : kind;
}
const char *f_label(int8_t sign, uint16_t number) {
    sink = sign + number;
    return sign < 0 ? "below" : "a label that is longer than thirty-two bytes";
}
int64_t f_sum(int a, int b, int c, int d, int64_t e, uint64_t f) { return sink = a + b + c + d + e + (int64_t)f; }
/* It returns nothing: a rule about its result would fail by chance. */
void f_log(const char *user) { sink = user[0]; }

int f_order(int number) {
    static const char *const names[] = {"apple", "pear \"x\"", NULL};
    f_find(number % 4, names[number % 3]);
    f_label(number % 2 ? -5 : 7, 65535);
    f_sum(1, 2, 3, 4, INT64_MIN + number % 2, UINT64_MAX);
    return number % 10 == 0 ? -1 : 0;
}
int f_many(int times) {
    for (int i = 0; i < times; i++) f_find(i, "loop");
    return 0;
}
int f_login(int number) {
    char user[64];
    snprintf(user, sizeof user, "user %d", number);
    f_log(user);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int times = atoi(argv[2]);
    if (!strcmp(argv[1], "many")) f_many(times);
    for (int i = 0; !strcmp(argv[1], "orders") && i < times; i++) f_order(i);
    for (int i = 0; !strcmp(argv[1], "users") && i < times; i++) f_login(i);
    return 0;
}
