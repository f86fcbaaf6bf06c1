// From labels to codes and columns: strings, integers and arrays of Arrow's C data interface.
#include <crossnest/crossnest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "c_fitted.hpp"
#include "check.hpp"

namespace {

using fitted::CLevels;
using fitted::says;
using Codes = std::vector<std::int32_t>;

std::vector<std::string> strings_of(const cn_levels* levels) {
  std::int64_t count = 0;
  CHECK(cn_levels_count(levels, &count) == CN_OK);
  std::vector<std::string> out;
  for (std::int64_t j = 0; j < count; ++j) {
    const char* label = nullptr;
    std::int64_t length = 0;
    CHECK(cn_levels_string(levels, j, &label, &length) == CN_OK);
    CHECK(label[length] == '\0');
    out.emplace_back(label, static_cast<std::size_t>(length));
  }
  return out;
}

std::vector<std::int64_t> integers_of(const cn_levels* levels) {
  std::int64_t count = 0;
  CHECK(cn_levels_count(levels, &count) == CN_OK);
  std::vector<std::int64_t> out(static_cast<std::size_t>(count));
  for (std::int64_t j = 0; j < count; ++j)
    CHECK(cn_levels_integer(levels, j, &out[static_cast<std::size_t>(j)]) == CN_OK);
  return out;
}

void ignore(ArrowSchema*) {}
void ignore(ArrowArray*) {}

// An array and its schema, which own nothing; buffers are those of vectors that outlive it.
struct Arrow {
  ArrowSchema schema{};
  ArrowArray array{};
  std::vector<const void*> buffers;

  Arrow(const char* format, std::int64_t length, std::vector<const void*> of,
        std::int64_t offset = 0)
      : buffers(std::move(of)) {
    schema.format = format;
    schema.release = ignore;
    array.length = length;
    array.offset = offset;
    array.null_count = -1;
    array.n_buffers = static_cast<std::int64_t>(buffers.size());
    array.buffers = buffers.data();
    array.release = ignore;
  }
  Arrow(const Arrow&) = delete;
  Arrow& operator=(const Arrow&) = delete;

  Arrow& with(Arrow& dictionary) {
    schema.dictionary = &dictionary.schema;
    array.dictionary = &dictionary.array;
    return *this;
  }
  std::int32_t levels(CLevels& to, Codes* codes = nullptr) const {
    if (codes != nullptr) codes->assign(static_cast<std::size_t>(array.length), -9);
    return cn_levels_from_arrow(&schema, &array, to.place(),
                                codes != nullptr ? codes->data() : nullptr);
  }
};

template <class Number>
void check_integers(const char* format) {
  const std::vector<Number> numbers = {99, 7, 3, 7, static_cast<Number>(100)};
  const Arrow arrow(format, 4, {nullptr, numbers.data()}, 1);
  CLevels levels;
  Codes codes;
  CHECK(arrow.levels(levels, &codes) == CN_OK);
  CHECK(integers_of(levels) == std::vector<std::int64_t>{3, 7, 100});
  CHECK(codes == Codes{1, 0, 1, 2});
  std::vector<double> values(4);
  CHECK(cn_arrow_numbers(&arrow.schema, &arrow.array, values.data(), 4) == CN_OK);
  CHECK(values == std::vector<double>{7.0, 3.0, 7.0, 100.0});
}

template <class Offset>
void check_strings(const char* format) {
  const std::string text = "skipbaab\xC3\xA9";
  const std::vector<Offset> offsets = {0, 4, 5, 6, 6, 8, 10};  // b a "" ab e-acute
  const Arrow arrow(format, 5, {nullptr, offsets.data(), text.data()}, 1);
  CLevels levels;
  Codes codes;
  CHECK(arrow.levels(levels, &codes) == CN_OK);
  CHECK(strings_of(levels) == std::vector<std::string>{"", "a", "ab", "b", "\xC3\xA9"});
  CHECK(codes == Codes{3, 1, 0, 2, 4});
  double value = 0.0;
  CHECK(cn_arrow_numbers(&arrow.schema, &arrow.array, &value, 5) == CN_ERROR_ARGUMENT);
}

}  // namespace

TEST(strings_are_sorted) {
  const char* labels[] = {"pear", "apple", "pear", "fig", ""};
  CLevels levels;
  Codes codes(5);
  CHECK(cn_levels_from_strings(5, labels, nullptr, levels.place(), codes.data()) == CN_OK);
  CHECK(strings_of(levels) == std::vector<std::string>{"", "apple", "fig", "pear"});
  CHECK(codes == Codes{3, 1, 3, 2, 0});
  const char* others[] = {"fig", "plum", "apple"};
  Codes found(3);
  CHECK(cn_levels_code_strings(levels, 3, others, nullptr, found.data()) == CN_OK);
  CHECK(found == Codes{2, -1, 1});
}

TEST(strings_have_lengths) {
  const char text[] = {'a', '\0', 'b', 'a', 'b'};
  const char* labels[] = {text, text + 3, text};
  const std::int64_t lengths[] = {3, 1, 3}, shorter[] = {1, -1, 1};
  CLevels levels;
  Codes codes(3);
  CHECK(cn_levels_from_strings(3, labels, lengths, levels.place(), codes.data()) == CN_OK);
  CHECK(strings_of(levels) == std::vector<std::string>{"a", std::string("a\0b", 3)});
  CHECK(codes == Codes{1, 0, 1});
  CHECK(cn_levels_code_strings(levels, 3, labels, shorter, codes.data()) == CN_ERROR_ARGUMENT);
  CHECK(says("label 1") && codes == Codes{1, 0, 1});
}

TEST(integers_are_sorted) {
  const std::int64_t labels[] = {5, -3, std::numeric_limits<std::int64_t>::max(), 5}, other = -3;
  CLevels levels;
  CHECK(cn_levels_from_integers(4, labels, levels.place(), nullptr) == CN_OK);
  CHECK(integers_of(levels) == std::vector<std::int64_t>{-3, 5, labels[2]});
  std::int32_t code = 9;
  CHECK(cn_levels_code_integers(levels, 1, &other, &code) == CN_OK && code == 0);
}

TEST(many_labels_are_coded_as_they_are_sorted) {
  std::mt19937 random(3);
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 20000; ++i) labels.push_back(static_cast<std::int64_t>(random() % 3000) - 99);
  CLevels levels;
  Codes codes(labels.size());
  CHECK(cn_levels_from_integers(20000, labels.data(), levels.place(), codes.data()) == CN_OK);
  const std::vector<std::int64_t> sorted = integers_of(levels);
  CHECK(std::is_sorted(sorted.begin(), sorted.end()));
  bool right = true;
  for (std::size_t i = 0; i < labels.size(); ++i)
    right = right && sorted[static_cast<std::size_t>(codes[i])] == labels[i];
  CHECK(right);
}

TEST(batches_are_merged) {
  const char *first[] = {"b", "d"}, *second[] = {"c", "b", "a"};
  CLevels levels, other, numbers;
  CHECK(cn_levels_from_strings(2, first, nullptr, levels.place(), nullptr) == CN_OK);
  CHECK(cn_levels_from_strings(3, second, nullptr, other.place(), nullptr) == CN_OK);
  CHECK(cn_levels_merge(levels, other) == CN_OK);
  CHECK(strings_of(levels) == std::vector<std::string>{"a", "b", "c", "d"});
  CHECK(cn_levels_merge(levels, levels) == CN_OK);
  CHECK(strings_of(levels).size() == 4);
  CHECK(cn_levels_from_integers(0, nullptr, numbers.place(), nullptr) == CN_OK);
  CHECK(cn_levels_merge(levels, numbers) == CN_ERROR_ARGUMENT && says("integers"));
  CHECK(cn_levels_merge(numbers, levels) == CN_ERROR_ARGUMENT && says("strings"));
  CHECK(cn_levels_merge(nullptr, levels) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_merge(levels, nullptr) == CN_ERROR_ARGUMENT);
}

TEST(arrow_integers) {
  check_integers<std::int8_t>("c");
  check_integers<std::uint8_t>("C");
  check_integers<std::int16_t>("s");
  check_integers<std::uint16_t>("S");
  check_integers<std::int32_t>("i");
  check_integers<std::uint32_t>("I");
  check_integers<std::int64_t>("l");
  check_integers<std::uint64_t>("L");
  const std::uint64_t large = std::uint64_t{1} << 63;
  const Arrow arrow("L", 1, {nullptr, &large});
  CLevels levels;
  CHECK(arrow.levels(levels) == CN_ERROR_ARGUMENT && says("row 0"));
}

TEST(arrow_strings) {
  check_strings<std::int32_t>("u");
  check_strings<std::int64_t>("U");
  const std::vector<std::int32_t> backwards = {0, 3, 1}, negative = {-4, 0, 1};
  CLevels levels;
  CHECK(Arrow("u", 2, {nullptr, backwards.data(), "abc"}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(says("row 1"));
  CHECK(Arrow("u", 2, {nullptr, negative.data(), "abc"}).levels(levels) == CN_ERROR_ARGUMENT);
  const std::vector<std::int32_t> empty = {0, 0, 0};
  CHECK(Arrow("u", 2, {nullptr, empty.data(), nullptr}).levels(levels) == CN_OK);
  CHECK(strings_of(levels) == std::vector<std::string>{""});
}

TEST(arrow_dictionaries_have_the_levels_that_occur) {
  const std::vector<std::int32_t> offsets = {0, 1, 2, 3, 4};
  Arrow words("u", 3, {nullptr, offsets.data(), "xcba"}, 1);  // c b a
  const std::vector<std::int8_t> indices = {2, 0, 0, 2};
  Arrow arrow("c", 4, {nullptr, indices.data()});
  arrow.with(words);
  CLevels levels;
  Codes codes;
  CHECK(arrow.levels(levels, &codes) == CN_OK);
  CHECK(strings_of(levels) == std::vector<std::string>{"a", "c"} && codes == Codes{0, 1, 1, 0});
  const std::vector<std::int8_t> others = {1, 2};
  Arrow other("c", 2, {nullptr, others.data()});
  Codes found(2);
  CHECK(cn_levels_code_arrow(levels, &other.with(words).schema, &other.array, found.data(), 2) ==
        CN_OK);
  CHECK(found == Codes{-1, 0});
  for (const std::int8_t outside : {std::int8_t{3}, std::int8_t{-1}}) {
    Arrow odd("c", 1, {nullptr, &outside});
    CHECK(odd.with(words).levels(levels) == CN_ERROR_ARGUMENT && says("dictionary"));
  }
  const std::vector<std::int64_t> years = {2020, 2010};
  Arrow numbers("l", 2, {nullptr, years.data()}), by_year("c", 2, {nullptr, others.data()});
  const std::vector<std::int8_t> both = {1, 0};
  Arrow of_years("c", 2, {nullptr, both.data()});
  CLevels years_found;
  CHECK(of_years.with(numbers).levels(years_found, &codes) == CN_OK);
  CHECK(integers_of(years_found) == std::vector<std::int64_t>{2010, 2020} && codes == Codes{0, 1});
}

TEST(arrow_nulls_are_refused_by_row) {
  const std::vector<std::int64_t> numbers = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const std::uint8_t valid[] = {0b11111101, 0b11111101};  // not 1, not 9
  CLevels levels;
  CHECK(Arrow("l", 7, {valid, numbers.data()}, 2).levels(levels) == CN_OK);
  CHECK(Arrow("l", 8, {valid, numbers.data()}, 2).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(says("row 7"));
  std::vector<double> values(10, -1.0);
  Arrow all("l", 10, {valid, numbers.data()});
  CHECK(cn_arrow_numbers(&all.schema, &all.array, values.data(), 10) == CN_ERROR_ARGUMENT);
  CHECK(says("row 1 ") && values[0] == -1.0);
  all.array.null_count = 0;
  CHECK(cn_arrow_numbers(&all.schema, &all.array, values.data(), 10) == CN_OK);
  const std::vector<std::int8_t> indices = {0, 2, 1};
  Arrow dictionary("l", 3, {valid, numbers.data()}), arrow("c", 3, {nullptr, indices.data()});
  CHECK(arrow.with(dictionary).levels(levels) == CN_ERROR_ARGUMENT && says("row 2"));
}

TEST(arrow_reals_are_numbers) {
  const float singles[] = {0.5F, -2.0F};
  const double doubles[] = {9.0, 0.1, 1e300};
  const Arrow single("f", 2, {nullptr, singles}), real("g", 2, {nullptr, doubles}, 1);
  std::vector<double> values(2);
  CHECK(cn_arrow_numbers(&single.schema, &single.array, values.data(), 2) == CN_OK);
  CHECK(values == std::vector<double>{0.5, -2.0});
  CHECK(cn_arrow_numbers(&real.schema, &real.array, values.data(), 2) == CN_OK);
  CHECK(values == std::vector<double>{0.1, 1e300});
  CLevels levels;
  CHECK(real.levels(levels) == CN_ERROR_ARGUMENT && says("floating-point"));
  CHECK(cn_arrow_numbers(&real.schema, &real.array, values.data(), 3) == CN_ERROR_ARGUMENT);
  CHECK(cn_arrow_numbers(&real.schema, &real.array, nullptr, 2) == CN_ERROR_ARGUMENT);
  CHECK(cn_arrow_numbers(nullptr, &real.array, values.data(), 2) == CN_ERROR_ARGUMENT);
  CHECK(cn_arrow_numbers(&real.schema, nullptr, values.data(), 2) == CN_ERROR_ARGUMENT);
}

TEST(arrow_arrays_that_are_none_are_refused) {
  const std::vector<std::int64_t> numbers = {1, 2};
  CLevels levels;
  CHECK(Arrow("+l", 2, {nullptr, numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(says("+l"));
  CHECK(Arrow("b", 2, {nullptr, numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("", 2, {nullptr, numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow(nullptr, 2, {nullptr, numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("l", -1, {nullptr, numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("l", 2, {nullptr, numbers.data()}, -1).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("l", std::numeric_limits<std::int64_t>::max(), {nullptr, numbers.data()})
            .levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("l", 2, {nullptr, nullptr}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("l", 2, {numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  CHECK(Arrow("u", 2, {nullptr, numbers.data()}).levels(levels) == CN_ERROR_ARGUMENT);
  Arrow released("l", 2, {nullptr, numbers.data()}), real("g", 2, {nullptr, numbers.data()});
  released.array.release = nullptr;
  CHECK(released.levels(levels) == CN_ERROR_ARGUMENT && says("released"));
  Arrow half("l", 2, {nullptr, numbers.data()}), good("l", 2, {nullptr, numbers.data()});
  half.schema.dictionary = &good.schema;
  CHECK(half.levels(levels) == CN_ERROR_ARGUMENT && says("dictionary"));
  Arrow of_reals("l", 2, {nullptr, numbers.data()}), twice("l", 2, {nullptr, numbers.data()});
  CHECK(of_reals.with(real).levels(levels) == CN_ERROR_ARGUMENT);
  Arrow inner("l", 2, {nullptr, numbers.data()});
  CHECK(twice.with(inner.with(good)).levels(levels) == CN_ERROR_ARGUMENT);
  Arrow empty("u", 0, {nullptr, nullptr, nullptr});
  CHECK(empty.levels(levels) == CN_OK && strings_of(levels).empty());
  CHECK(cn_levels_from_arrow(nullptr, &good.array, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_arrow(&good.schema, nullptr, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_arrow(&good.schema, &good.array, nullptr, nullptr) == CN_ERROR_ARGUMENT);
  Codes codes(2);
  const auto coded = [&](const cn_levels* among, std::int64_t length) {
    return cn_levels_code_arrow(among, &good.schema, &good.array, codes.data(), length);
  };
  CHECK(coded(levels, 2) == CN_ERROR_ARGUMENT && says("strings"));
  CLevels integers;
  CHECK(good.levels(integers) == CN_OK);
  CHECK(coded(integers, 2) == CN_OK && coded(integers, 3) == CN_ERROR_ARGUMENT);
  CHECK(coded(nullptr, 2) == CN_ERROR_ARGUMENT);
}

TEST(labels_that_are_none_are_refused) {
  const char* labels[] = {"a", nullptr};
  const std::int64_t number = 1;
  CLevels levels;
  CHECK(cn_levels_from_strings(2, labels, nullptr, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(says("label 1") && levels.pointer == nullptr);
  CHECK(cn_levels_from_strings(-1, labels, nullptr, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_strings(1, nullptr, nullptr, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_strings(1, labels, nullptr, nullptr, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_integers(-1, &number, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_integers(1, nullptr, levels.place(), nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_from_strings(1, labels, nullptr, levels.place(), nullptr) == CN_OK);
  std::int32_t code = 0;
  std::int64_t integer = 0;
  const char* label = nullptr;
  CHECK(cn_levels_code_integers(levels, 1, &number, &code) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_code_strings(levels, 1, labels, nullptr, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_code_strings(levels, -1, labels, nullptr, &code) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_code_strings(nullptr, 1, labels, nullptr, &code) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_integer(levels, 0, &integer) == CN_ERROR_ARGUMENT && says("strings"));
  CHECK(cn_levels_string(levels, 1, &label, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_string(levels, -1, &label, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_string(levels, 0, nullptr, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_string(levels, 0, &label, nullptr) == CN_OK && std::string(label) == "a");
  CHECK(cn_levels_count(levels, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_levels_count(nullptr, &integer) == CN_ERROR_ARGUMENT);
}

TEST(treatment_columns_leave_the_reference_out) {
  const std::int32_t codes[] = {0, 2, 1, 2};
  std::vector<double> columns(8, -1.0);
  CHECK(cn_treatment_columns(4, codes, 3, 1, columns.data(), 8) == CN_OK);
  CHECK(columns == std::vector<double>{1, 0, 0, 0, 0, 1, 0, 1});
  CHECK(cn_treatment_columns(4, codes, 3, 0, columns.data(), 8) == CN_OK);
  CHECK(columns == std::vector<double>{0, 0, 1, 0, 0, 1, 0, 1});
  const std::int32_t unseen[] = {0, -1};
  const auto refused = [&](std::int64_t n, const std::int32_t* of, std::int64_t levels,
                           std::int64_t reference, double* to, std::int64_t length) {
    return cn_treatment_columns(n, of, levels, reference, to, length) == CN_ERROR_ARGUMENT;
  };
  CHECK(refused(2, unseen, 2, 0, columns.data(), 2) && says("row 1"));
  CHECK(refused(4, codes, 2, 0, columns.data(), 4) && says("row 1"));
  CHECK(refused(4, codes, 3, 3, columns.data(), 8) && refused(4, codes, 3, -1, columns.data(), 8));
  CHECK(refused(4, codes, 0, 0, columns.data(), 0) && refused(-1, codes, 3, 0, columns.data(), 0));
  CHECK(refused(4, codes, 3, 0, columns.data(), 7) && refused(4, nullptr, 3, 0, columns.data(), 8));
  CHECK(refused(4, codes, 3, 0, nullptr, 8));
  CHECK(refused(4, codes, std::numeric_limits<std::int64_t>::max(), 0, columns.data(), 8));
  const std::int32_t zeros[] = {0, 0};
  CHECK(cn_treatment_columns(2, zeros, 1, 0, nullptr, 0) == CN_OK);
}
