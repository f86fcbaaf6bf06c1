#include "arrow_array.hpp"

#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

namespace crossnest {

namespace {

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

constexpr const char* kIntegers = "cCsSiIlL";

// The one letter of a format that is read here, else 0.
char letter_of(const char* format) {
  if (format == nullptr || std::strlen(format) != 1) return 0;
  return std::strchr("uUfgcCsSiIlL", *format) != nullptr ? *format : '\0';
}

bool is_integer(char format) { return std::strchr(kIntegers, format) != nullptr; }

}  // namespace

ArrowView::ArrowView(const ArrowSchema& schema, const ArrowArray& array)
    : array_(array), format_(letter_of(schema.format)) {
  if (schema.release == nullptr || array.release == nullptr)
    refuse("the Arrow array or its schema has been released");
  if (format_ == 0)
    refuse(std::string("an Arrow array of format '") +
           (schema.format == nullptr ? "" : schema.format) +
           "' is not supported: strings (u, U), integers (c C s S i I l L), floating-point numbers "
           "(f, g) and dictionaries of strings or integers are");
  constexpr Index kMost = std::numeric_limits<Index>::max() / 16;
  if (array.length < 0 || array.offset < 0 || array.length > kMost || array.offset > kMost)
    refuse("the length or offset of the Arrow array is out of range");
  const bool is_string = format_ == 'u' || format_ == 'U';
  if (array.n_buffers != (is_string ? 3 : 2) || array.buffers == nullptr)
    refuse("the Arrow array has not the buffers of its format");
  if (array.length > 0 && array.buffers[1] == nullptr) refuse("the Arrow array has no values");
  if ((schema.dictionary == nullptr) != (array.dictionary == nullptr))
    refuse("the Arrow array has a dictionary and its schema none, or the other way round");
  if (schema.dictionary == nullptr) return;
  if (!is_integer(format_) || schema.dictionary->dictionary != nullptr)
    refuse("the indices of an Arrow dictionary must be integers");
  dictionary_ = std::make_unique<const ArrowView>(*schema.dictionary, *array.dictionary);
  if (dictionary_->kind() == Kind::reals) refuse("an Arrow dictionary of reals is not supported");
}

ArrowView::Kind ArrowView::kind() const {
  if (dictionary_) return dictionary_->kind();
  if (is_integer(format_)) return Kind::integers;
  return format_ == 'u' || format_ == 'U' ? Kind::strings : Kind::reals;
}

void ArrowView::require_values() const {
  for (Index row = 0; row < length(); ++row) {
    bool holds = has_value(row);
    if (holds && dictionary_) holds = dictionary_->has_value(dictionary_row(row));
    if (!holds) refuse("row " + std::to_string(row) + " of the Arrow array is null");
  }
}

bool ArrowView::has_value(Index row) const {
  const auto* valid = static_cast<const std::uint8_t*>(array_.buffers[0]);
  if (valid == nullptr || array_.null_count == 0) return true;
  const Index bit = array_.offset + row;
  return (valid[bit / 8] >> (bit % 8) & 1) != 0;
}

// Buffers need not be aligned.
template <class Number>
Number ArrowView::stored(Index place) const {
  Number number;
  std::memcpy(&number,
              static_cast<const char*>(array_.buffers[1]) +
                  (array_.offset + place) * static_cast<Index>(sizeof number),
              sizeof number);
  return number;
}

std::int64_t ArrowView::stored_integer(Index row) const {
  switch (format_) {
    case 'c':
      return stored<std::int8_t>(row);
    case 'C':
      return stored<std::uint8_t>(row);
    case 's':
      return stored<std::int16_t>(row);
    case 'S':
      return stored<std::uint16_t>(row);
    case 'i':
      return stored<std::int32_t>(row);
    case 'I':
      return stored<std::uint32_t>(row);
    case 'l':
      return stored<std::int64_t>(row);
    default:
      break;
  }
  const auto number = stored<std::uint64_t>(row);
  if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    refuse("row " + std::to_string(row) + " of the Arrow array is above 2^63 - 1");
  return static_cast<std::int64_t>(number);
}

Index ArrowView::dictionary_row(Index row) const {
  const std::int64_t index = stored_integer(row);
  if (index < 0 || index >= dictionary_->length())
    refuse("row " + std::to_string(row) + " of the Arrow array is not in its dictionary");
  return index;
}

std::int64_t ArrowView::integer(Index row) const {
  return dictionary_ ? dictionary_->stored_integer(dictionary_row(row)) : stored_integer(row);
}

double ArrowView::number(Index row) const {
  if (kind() == Kind::integers) return static_cast<double>(integer(row));
  return format_ == 'f' ? double{stored<float>(row)} : stored<double>(row);
}

std::string_view ArrowView::string(Index row) const {
  if (dictionary_) return dictionary_->string(dictionary_row(row));
  const bool is_small = format_ == 'u';
  const std::int64_t begin = is_small ? stored<std::int32_t>(row) : stored<std::int64_t>(row);
  const std::int64_t end = is_small ? stored<std::int32_t>(row + 1) : stored<std::int64_t>(row + 1);
  if (begin == end) return {};
  const auto* text = static_cast<const char*>(array_.buffers[2]);
  if (begin < 0 || end < begin || text == nullptr)
    refuse("the strings of the Arrow array are damaged at row " + std::to_string(row));
  return {text + begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace crossnest
