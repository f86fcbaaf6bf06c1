#include <crossnest/version.hpp>
#include <cstdio>

int main() { std::puts(crossnest::version()); }
