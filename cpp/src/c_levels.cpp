#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "arrow_array.hpp"
#include "c_handles.hpp"
#include "label_codes.hpp"

using namespace crossnest::c;
using crossnest::ArrowView;
using crossnest::Index;

using Strings = std::vector<std::string>;
using Integers = std::vector<std::int64_t>;

struct cn_levels {
  std::variant<Strings, Integers> sorted;

  // The levels of one kind; refuses the other.
  template <class Levels>
  const Levels& of() const {
    const Levels* levels = std::get_if<Levels>(&sorted);
    if (levels == nullptr)
      refuse(std::holds_alternative<Strings>(sorted) ? "the levels are strings, not integers"
                                                     : "the levels are integers, not strings");
    return *levels;
  }
  std::int64_t count() const {
    return std::visit([](const auto& one) { return static_cast<std::int64_t>(one.size()); },
                      sorted);
  }
};

namespace {

void check_count(std::int64_t n) {
  if (n < 0) refuse("n must not be negative");
}

// The caller's strings, by row.
auto strings(std::int64_t n, const char* const* labels, const std::int64_t* lengths) {
  check_count(n);
  if (n > 0) given(labels, "labels");
  return [=](Index row) -> std::string_view {
    const char* label = labels[row];
    if (label == nullptr) refuse("label " + std::to_string(row) + " is NULL");
    if (lengths == nullptr) return label;
    if (lengths[row] < 0) refuse("the length of label " + std::to_string(row) + " is negative");
    return {label, at(lengths[row])};
  };
}

auto integers(std::int64_t n, const std::int64_t* labels) {
  check_count(n);
  if (n > 0) given(labels, "labels");
  return [=](Index row) { return labels[row]; };
}

// Hands out the levels of labels and, where they are wanted, codes.
template <class Label, class Levels, class Labels>
void find_levels(Index n, const Labels& label, cn_levels** levels, std::int32_t* codes) {
  auto found = crossnest::code_labels<Label>(n, label);
  hand_out(levels, std::make_unique<cn_levels>(
                       cn_levels{Levels(found.levels.begin(), found.levels.end())}));
  if (codes != nullptr) std::copy(found.codes.begin(), found.codes.end(), codes);
}

// Fills the codes of labels, or none where one is refused.
template <class Label, class Stored, class Labels>
void find_codes(const std::vector<Stored>& levels, Index n, const Labels& label,
                std::int32_t* codes) {
  if (n > 0) given(codes, "codes");
  std::vector<std::int32_t> found(at(n));
  crossnest::code_among<Label>(levels, n, label, found.data());
  std::copy(found.begin(), found.end(), codes);
}

template <class Levels>
Levels merged(const Levels& a, const Levels& b) {
  Levels both;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

// A view of labels, all of which are there.
ArrowView labels_of(const ArrowSchema* schema, const ArrowArray* array) {
  ArrowView view(given(schema, "schema"), given(array, "array"));
  if (view.kind() == ArrowView::Kind::reals)
    refuse("the labels of a factor must be strings or integers, not floating-point numbers");
  view.require_values();
  return view;
}

}  // namespace

int32_t cn_levels_from_strings(int64_t n, const char* const* labels, const int64_t* lengths,
                               cn_levels** levels, int32_t* codes) {
  return guarded([&] {
    find_levels<std::string_view, Strings>(n, strings(n, labels, lengths), levels, codes);
  });
}

int32_t cn_levels_from_integers(int64_t n, const int64_t* labels, cn_levels** levels,
                                int32_t* codes) {
  return guarded(
      [&] { find_levels<std::int64_t, Integers>(n, integers(n, labels), levels, codes); });
}

void cn_levels_free(cn_levels* levels) { delete levels; }

int32_t cn_levels_merge(cn_levels* levels, const cn_levels* other) {
  return guarded([&] {
    cn_levels& to = given(levels, "levels");
    const cn_levels& from = given(other, "other");
    if (std::holds_alternative<Strings>(to.sorted))
      to.sorted = merged(to.of<Strings>(), from.of<Strings>());
    else
      to.sorted = merged(to.of<Integers>(), from.of<Integers>());
  });
}

int32_t cn_levels_count(const cn_levels* levels, int64_t* count) {
  return guarded([&] { given(count, "count") = given(levels, "levels").count(); });
}

int32_t cn_levels_string(const cn_levels* levels, int64_t code, const char** label,
                         int64_t* length) {
  return guarded([&] {
    const Strings& sorted = given(levels, "levels").of<Strings>();
    const std::string& level = sorted[at(in_range(code, sorted.size(), "level"))];
    given(label, "label") = level.c_str();
    if (length != nullptr) *length = static_cast<int64_t>(level.size());
  });
}

int32_t cn_levels_integer(const cn_levels* levels, int64_t code, int64_t* label) {
  return guarded([&] {
    const Integers& sorted = given(levels, "levels").of<Integers>();
    given(label, "label") = sorted[at(in_range(code, sorted.size(), "level"))];
  });
}

int32_t cn_levels_code_strings(const cn_levels* levels, int64_t n, const char* const* labels,
                               const int64_t* lengths, int32_t* codes) {
  return guarded([&] {
    find_codes<std::string_view>(given(levels, "levels").of<Strings>(), n,
                                 strings(n, labels, lengths), codes);
  });
}

int32_t cn_levels_code_integers(const cn_levels* levels, int64_t n, const int64_t* labels,
                                int32_t* codes) {
  return guarded([&] {
    find_codes<std::int64_t>(given(levels, "levels").of<Integers>(), n, integers(n, labels), codes);
  });
}

int32_t cn_levels_from_arrow(const ArrowSchema* schema, const ArrowArray* array, cn_levels** levels,
                             int32_t* codes) {
  return guarded([&] {
    const ArrowView view = labels_of(schema, array);
    if (view.kind() == ArrowView::Kind::strings)
      find_levels<std::string_view, Strings>(
          view.length(), [&](Index row) { return view.string(row); }, levels, codes);
    else
      find_levels<std::int64_t, Integers>(
          view.length(), [&](Index row) { return view.integer(row); }, levels, codes);
  });
}

int32_t cn_levels_code_arrow(const cn_levels* levels, const ArrowSchema* schema,
                             const ArrowArray* array, int32_t* codes, int64_t length) {
  return guarded([&] {
    const cn_levels& among = given(levels, "levels");
    const ArrowView view = labels_of(schema, array);
    check_length("codes", length, at(view.length()));
    if (view.kind() == ArrowView::Kind::strings)
      find_codes<std::string_view>(
          among.of<Strings>(), length, [&](Index row) { return view.string(row); }, codes);
    else
      find_codes<std::int64_t>(
          among.of<Integers>(), length, [&](Index row) { return view.integer(row); }, codes);
  });
}

int32_t cn_arrow_numbers(const ArrowSchema* schema, const ArrowArray* array, double* values,
                         int64_t length) {
  return guarded([&] {
    const ArrowView view(given(schema, "schema"), given(array, "array"));
    if (view.kind() == ArrowView::Kind::strings) refuse("the Arrow array has strings, not numbers");
    check_length("values", length, at(view.length()));
    view.require_values();
    std::vector<double> numbers;
    for (Index row = 0; row < length; ++row) numbers.push_back(view.number(row));
    if (length > 0) std::copy(numbers.begin(), numbers.end(), &given(values, "values"));
  });
}

int32_t cn_treatment_columns(int64_t n, const int32_t* codes, int64_t levels, int64_t reference,
                             double* columns, int64_t length) {
  return guarded([&] {
    check_count(n);
    if (levels < 1 || reference < 0 || reference >= levels)
      refuse("the reference level " + std::to_string(reference) + " is none of the " +
             std::to_string(levels) + " levels");
    if (n > 0 && levels > std::numeric_limits<int64_t>::max() / n) refuse("too many levels");
    check_length("columns", length, at(n * (levels - 1)));
    if (n > 0) given(codes, "codes");
    for (int64_t i = 0; i < n; ++i)
      if (codes[i] < 0 || codes[i] >= levels)
        refuse("row " + std::to_string(i) + " has the code " + std::to_string(codes[i]) +
               ", which is no level");
    if (length == 0) return;
    given(columns, "columns");
    std::fill(columns, columns + length, 0.0);
    for (int64_t i = 0; i < n; ++i)
      if (codes[i] != reference) columns[(codes[i] - (codes[i] > reference)) * n + i] = 1.0;
  });
}
