// Exceptions through functions that are followed, and such that are caught inside them.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

static volatile int sink;

struct Guard {
    ~Guard() { sink = sink + 1; }
};

void f_leaf() { sink = sink + 1; }

void f_throws(int deep) {
    Guard guard;
    f_leaf();
    if (deep > 0) {
        f_throws(deep - 1);
    } else {
        throw std::runtime_error("thrown");
    }
    sink = sink + 1;
}

void f_catches(bool throws) {
    try {
        if (throws) {
            f_throws(2);
        }
        f_leaf();
    } catch (const std::exception &) {
        sink = sink + 1;
    }
}

void f_rethrows() {
    try {
        f_throws(0);
    } catch (...) {
        f_leaf();
        throw;
    }
}

int main(int, char **arguments) {
    int n = std::atoi(arguments[1]);
    int caught = 0;
    for (int i = 0; i < n; i++) {
        f_catches(i % 2);
        try {
            f_rethrows();
        } catch (const std::exception &) {
            caught++;
        }
    }
    f_leaf();
    std::printf("%d\n", caught);
}
