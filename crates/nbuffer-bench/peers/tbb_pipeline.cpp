// oneTBB's side of the hand-off bench: three serial in-order filters, four tokens, two threads.
// The bench compiles and runs it where a C++ compiler and libtbb are (Debian: g++, libtbb-dev).
// Prints nanoseconds per item, or fails when a result is wrong. Arguments: ITEMS MIDDLE_STAGE_US.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>

namespace {

void work_for(double us) {
  if (us <= 0) return;
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double, std::micro>(us);
  while (std::chrono::steady_clock::now() < until) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::uint64_t items = std::strtoull(argv[1], nullptr, 10);
  const double us = std::atof(argv[2]);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 2);
  constexpr auto serial = tbb::filter_mode::serial_in_order;

  std::uint64_t taken = 0;
  std::vector<std::uint64_t> results;
  results.reserve(items);
  const auto start = std::chrono::steady_clock::now();
  const auto before = tbb::make_filter<void, std::uint64_t>(serial, [&](tbb::flow_control& control) {
    if (taken == items) {
      control.stop();
      return std::uint64_t{0};
    }
    work_for(us / 2);
    return taken++ + 1;
  });
  const auto middle = tbb::make_filter<std::uint64_t, std::uint64_t>(serial, [&](std::uint64_t x) {
    work_for(us);
    return x * 3;
  });
  const auto after = tbb::make_filter<std::uint64_t, void>(serial, [&](std::uint64_t x) {
    work_for(us / 2);
    results.push_back(x ^ 5);
  });
  tbb::parallel_pipeline(4, before & middle & after);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;

  if (results.size() != items) return 1;
  for (std::uint64_t i = 0; i < items; ++i) {
    if (results[i] != (((i + 1) * 3) ^ 5)) return 1;
  }
  std::printf("%f\n", took.count() / static_cast<double>(items));
  return 0;
}
