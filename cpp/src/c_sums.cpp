#include <algorithm>
#include <memory>
#include <vector>

#include "c_handles.hpp"

using namespace crossnest::c;
using crossnest::Design;
using crossnest::Sums;

int32_t cn_sums_new(const cn_design* sample, const double* y, int64_t intercept, cn_sums** sums) {
  return guarded([&] {
    const Design& design = given(sample, "sample").design;
    hand_out(sums, std::make_unique<cn_sums>(cn_sums{Sums(design, &given(y, "y"), intercept)}));
  });
}

void cn_sums_free(cn_sums* sums) { delete sums; }

int32_t cn_sums_copy(const cn_sums* sums, cn_sums** copy) {
  return guarded([&] { hand_out(copy, std::make_unique<cn_sums>(given(sums, "sums"))); });
}

int32_t cn_sums_add(cn_sums* sums, const cn_design* rows, const double* y) {
  return guarded([&] { given(sums, "sums").sums.add(given(rows, "rows").design, &given(y, "y")); });
}

int32_t cn_sums_merge(cn_sums* sums, const cn_sums* other) {
  return guarded([&] { given(sums, "sums").sums.merge(given(other, "other").sums); });
}

int32_t cn_sums_rows(const cn_sums* sums, int64_t* rows) {
  return guarded([&] { given(rows, "rows") = given(sums, "sums").sums.n(); });
}

int32_t cn_sums_bytes(const cn_sums* sums, int64_t* length) {
  return guarded([&] {
    given(length, "length") = static_cast<int64_t>(given(sums, "sums").sums.serialize().size());
  });
}

int32_t cn_sums_serialize(const cn_sums* sums, void* bytes, int64_t length) {
  return guarded([&] {
    const std::vector<std::uint8_t> all = given(sums, "sums").sums.serialize();
    check_length("bytes", length, all.size());
    std::copy(all.begin(), all.end(), &given(static_cast<std::uint8_t*>(bytes), "bytes"));
  });
}

int32_t cn_sums_deserialize(const void* bytes, int64_t length, cn_sums** sums) {
  return guarded([&] {
    if (length < 0) refuse("a length is negative");
    const auto* all = static_cast<const std::uint8_t*>(bytes);
    hand_out(sums, std::make_unique<cn_sums>(
                       cn_sums{Sums::deserialize(&given(all, "bytes"), at(length))}));
  });
}
