// Numbers as bytes that are the same on every machine: little-endian, integers of 64 bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace crossnest {

/// FNV-1a of some bytes (Fowler, Noll and Vo), which sees accidents.
inline std::uint64_t check_sum(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < count; ++i) sum = (sum ^ bytes[i]) * 0x100000001b3;
  return sum;
}

/// Writes what it is called with. A class says once for both directions what it consists of:
///
///     template <class Self, class Bytes>  // Self is const in writing
///     static void exchange(Self& self, Bytes& bytes) { bytes(self.count); bytes(self.values); }
class ByteWriter {
 public:
  template <class Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
  void operator()(Number number) {
    std::uint64_t bits = 0;
    if constexpr (std::is_floating_point_v<Number>)
      std::memcpy(&bits, &number, sizeof bits);
    else
      bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(number));
    for (int shift = 0; shift < 64; shift += 8)
      bytes_.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  template <class Value>
  void operator()(const std::vector<Value>& values) {
    (*this)(values.size());
    for (const auto& value : values) (*this)(value);
  }
  template <class Class, std::enable_if_t<std::is_class_v<Class>, int> = 0>
  void operator()(const Class& object) {
    Class::exchange(object, *this);
  }
  void operator()(const std::string& text) {
    (*this)(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }

  std::vector<std::uint8_t>& bytes() { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// Reads what was written; throws std::invalid_argument where there is less, before it allocates.
class ByteReader {
 public:
  ByteReader(const std::uint8_t* bytes, std::size_t count) : next_(bytes), left_(count) {}

  template <class Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
  void operator()(Number& number) {
    require(left_ >= 8);
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits |= std::uint64_t{next_[i]} << 8 * i;
    next_ += 8;
    left_ -= 8;
    if constexpr (std::is_floating_point_v<Number>) {
      std::memcpy(&number, &bits, sizeof bits);
    } else {
      number = static_cast<Number>(bits);
      require(static_cast<std::uint64_t>(static_cast<std::int64_t>(number)) == bits);
    }
  }
  template <class Value>
  void operator()(std::vector<Value>& values) {
    values.resize(count(8));
    for (Value& value : values) (*this)(value);
  }
  void operator()(std::vector<bool>& values) {
    values.resize(count(8));
    for (std::size_t i = 0; i < values.size(); ++i) {
      bool value = false;
      (*this)(value);
      values[i] = value;
    }
  }
  template <class Class, std::enable_if_t<std::is_class_v<Class>, int> = 0>
  void operator()(Class& object) {
    Class::exchange(object, *this);
  }
  void operator()(std::string& text) {
    const std::size_t size = count(1);
    text.assign(next_, next_ + size);
    next_ += size;
    left_ -= size;
  }

  std::size_t left() const { return left_; }
  static void require(bool holds) {
    if (!holds) throw std::invalid_argument("the bytes are damaged");
  }

 private:
  // How many items of at least `size` bytes follow.
  std::size_t count(std::size_t size) {
    std::uint64_t items = 0;
    (*this)(items);
    require(items <= left_ / size);
    return static_cast<std::size_t>(items);
  }

  const std::uint8_t* next_;
  std::size_t left_;
};

}  // namespace crossnest
