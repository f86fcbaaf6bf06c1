// Sums as bytes: what is read is what was written, and damage is refused.
#include <crossnest/crossnest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "bytes.hpp"
#include "c_fitted.hpp"
#include "check.hpp"
#include "designs.hpp"

namespace {

using designs::Data;
using namespace fitted;
using Bytes = std::vector<std::uint8_t>;

CSums sums_of(const Data& sample, int64_t intercept = 0) {
  CSums sums;
  CHECK(cn_sums_new(c_design(sample.design()), sample.y.data(), intercept, sums.place()) == CN_OK);
  return sums;
}

void add(cn_sums* sums, const Data& rows) {
  CHECK(cn_sums_add(sums, c_design(rows.design()), rows.y.data()) == CN_OK);
}

Bytes bytes_of(const cn_sums* sums) {
  int64_t length = 0;
  CHECK(cn_sums_bytes(sums, &length) == CN_OK);
  Bytes bytes(static_cast<std::size_t>(length));
  CHECK(cn_sums_serialize(sums, bytes.data(), length) == CN_OK);
  return bytes;
}

CSums read(const Bytes& bytes) {
  CSums sums;
  CHECK(cn_sums_deserialize(bytes.data(), static_cast<int64_t>(bytes.size()), sums.place()) ==
        CN_OK);
  return sums;
}

bool is_refused(const Bytes& bytes) {
  CSums sums;
  return cn_sums_deserialize(bytes.data(), static_cast<int64_t>(bytes.size()), sums.place()) ==
         CN_ERROR_ARGUMENT;
}

// With the check sum of the bytes as they are.
Bytes with_check(Bytes bytes) {
  crossnest::ByteWriter check;
  check(crossnest::check_sum(bytes.data(), bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, check.bytes().data(), 8);
  return bytes;
}

// The criterion at the optimum and theta, where the sums can be fitted.
std::vector<double> fit_of(const cn_sums* sums, int32_t* code = nullptr) {
  Options options;
  CHECK(cn_options_new(options.place()) == CN_OK);
  CHECK(cn_options_set_int(options, "max_evaluations", 60) == CN_OK);
  CHECK(cn_options_set_int(options, "memory_limit", int64_t{1} << 26) == CN_OK);
  CHECK(cn_options_set_int(options, "threads", 1) == CN_OK);
  CModel model;
  CResponse response;
  CFit fit;
  const int32_t result = cn_model_from_sums(sums, options, model.place()) != CN_OK ||
                                 cn_response_from_sums(model, sums, response.place()) != CN_OK ||
                                 cn_fit_new(response, options, nullptr, 0, fit.place()) != CN_OK
                             ? CN_ERROR_FIT
                             : CN_OK;
  if (code != nullptr) *code = result;
  if (result != CN_OK) return {};
  std::vector<double> out(1);
  CHECK(cn_fit_get_double(fit, "objective", out.data()) == CN_OK);
  int64_t length = 0;
  CHECK(cn_fit_length(fit, "theta", &length) == CN_OK);
  out.resize(static_cast<std::size_t>(length) + 1);
  CHECK(cn_fit_get_array(fit, "theta", out.data() + 1, length) == CN_OK);
  return out;
}

}  // namespace

TEST(what_is_read_is_what_was_written) {
  for (Data data : {designs::crossed(20, 9, 240, 2, 1), designs::nested(40, 12, 4, 300, 2, 1, 1),
                    designs::several_terms(), designs::without_fixed(20, 6, 2)}) {
    const CSums sums = sums_of(data, data.p > 0 ? 0 : -1);
    const Bytes empty = bytes_of(sums);
    CHECK(bytes_of(read(empty)) == empty);
    add(sums, data);
    const Bytes bytes = bytes_of(sums);
    const CSums again = read(bytes);
    CHECK(bytes_of(again) == bytes);
    int64_t rows = 0;
    CHECK(cn_sums_rows(again, &rows) == CN_OK && rows == data.n);
    CHECK(fit_of(again) == fit_of(sums) && !fit_of(sums).empty());
  }
}

// One machine hands out sums of no rows, others send theirs back.
TEST(sums_of_machines_are_merged) {
  Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_weights();
  const Data first = designs::batch(data, 0, 100), second = designs::batch(data, 100, 240);
  const CSums none = sums_of(first), here = sums_of(first);
  add(here, first);
  add(here, second);
  const CSums one = read(bytes_of(none)), two = read(bytes_of(none));
  add(one, first);
  add(two, second);
  const CSums total = read(bytes_of(one));
  CHECK(cn_sums_merge(total, read(bytes_of(two))) == CN_OK);
  const std::vector<double> expected = fit_of(here), found = fit_of(total);
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK_NEAR(found[i], expected[i], 1e-6);
  CHECK_NEAR(found[0], expected[0], 1e-11);
  CHECK(cn_sums_merge(none, read(bytes_of(two))) == CN_OK);
}

TEST(sums_of_other_designs_are_not_merged) {
  const Data data = designs::single(12, 9, 1);
  Data other = data;
  other.terms[0].columns[0] = 0;
  other.columns.emplace_back(data.y.size(), 1.0);
  const CSums a = sums_of(data), b = sums_of(other);
  add(b, other);
  CHECK(cn_sums_merge(a, b) == CN_ERROR_ARGUMENT && says("begun"));
}

TEST(the_format_does_not_change) {
  const Bytes bytes = bytes_of(sums_of(designs::single(3, 4, 1)));
  const std::uint8_t start[] = {1, 0, 'C', 'N', 'S', 'U', 'M', 'S', 0, 0, 0, 0, 0, 0, 0, 0, 2};
  CHECK(std::memcmp(bytes.data(), start, sizeof start) == 0);
}

TEST(damaged_bytes_are_refused) {
  const CSums sums = sums_of(designs::crossed(4, 3, 30, 2, 1));
  add(sums, designs::crossed(4, 3, 30, 2, 1));
  const Bytes bytes = bytes_of(sums);
  for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 16)
    CHECK(is_refused({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}));
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    Bytes changed = bytes;
    changed[i] ^= static_cast<std::uint8_t>(1 + i % 255);
    CHECK(is_refused(changed));
  }
  Bytes longer = bytes;
  longer.push_back(0);
  CHECK(is_refused(longer));
  Bytes later = bytes;
  later[0] = 9;
  CHECK(is_refused(with_check(later)) && says("version"));
  CHECK(is_refused(Bytes(100, 7)) && says("no sums"));
}

// Damage under a check sum that is right: refused, or numbers that are as good as any.
TEST(forged_bytes_do_no_harm) {
  std::mt19937 random(8);
  for (const Data& data : {designs::crossed(4, 3, 30, 2, 1), designs::nested(8, 4, 2, 40, 1, 1, 1),
                           designs::nested_crossed(9, 3, 4, 60, 2, 1, 1)}) {
    for (const bool has_rows : {true, false}) {
      const CSums sums = sums_of(data);
      if (has_rows) add(sums, data);
      const Bytes bytes = bytes_of(sums);
      for (int draw = 0; draw < 1500; ++draw) {
        Bytes changed = bytes;
        for (unsigned edits = 1 + random() % 2; edits > 0; --edits) {
          std::uint8_t* number = changed.data() + 8 + random() % (changed.size() / 8 - 2) * 8;
          if (random() % 2 == 0) {
            number[random() % 8] ^= static_cast<std::uint8_t>(1 + random() % 255);
          } else {
            const std::uint64_t small = random() % 6;
            for (unsigned b = 0; b < 8; ++b) number[b] = b == 0 ? small & 0xff : 0;
          }
        }
        changed = with_check(changed);
        CSums read;
        if (cn_sums_deserialize(changed.data(), static_cast<int64_t>(changed.size()),
                                read.place()) != CN_OK)
          continue;
        CHECK(bytes_of(read).size() == changed.size());
        int32_t code = CN_OK;
        fit_of(read, &code);
        cn_sums_merge(read, sums);
      }
    }
  }
}

TEST(bad_arguments_of_bytes) {
  const CSums sums = sums_of(designs::single(3, 4, 1));
  const Bytes bytes = bytes_of(sums);
  const auto length = static_cast<int64_t>(bytes.size());
  Bytes to(bytes.size());
  int64_t found = 0;
  CSums read;
  CHECK(cn_sums_bytes(nullptr, &found) == CN_ERROR_ARGUMENT);
  CHECK(cn_sums_bytes(sums, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_sums_serialize(nullptr, to.data(), length) == CN_ERROR_ARGUMENT);
  CHECK(cn_sums_serialize(sums, nullptr, length) == CN_ERROR_ARGUMENT);
  CHECK(cn_sums_serialize(sums, to.data(), length - 1) == CN_ERROR_ARGUMENT && says("bytes"));
  CHECK(cn_sums_deserialize(nullptr, length, read.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_sums_deserialize(bytes.data(), -1, read.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_sums_deserialize(bytes.data(), length, nullptr) == CN_ERROR_ARGUMENT);
}
