// libFuzzer target: bytes become calls of the C interface, in an order that makes sense or not,
// with arguments that do or do not: NULL, lengths that are wrong, codes out of range, numbers that
// are not finite, handles of other models. Every call returns a code of the header, and one that
// fails says why.
#include <crossnest/crossnest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bytes.hpp"
#include "input.hpp"

namespace {

constexpr int kRows = 24;  // at most: arrays have room for so many

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

bool ok(int32_t code) {
  require(code <= CN_OK && code >= CN_ERROR_INTERRUPTED, "a code that should not be");
  require(code == CN_OK || cn_last_error()[0] != '\0', "no message");
  return code == CN_OK;
}

template <class T, void (*free)(T*)>
struct Handle {
  T* pointer = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { free(pointer); }
  operator T*() const { return pointer; }
  T** place() {
    free(pointer);
    pointer = nullptr;
    return &pointer;
  }
};

void ignore(ArrowSchema*) {}
void ignore(ArrowArray*) {}

// Calls with one input.
class Session {
 public:
  explicit Session(Bytes& bytes) : bytes_(bytes) {
    for (auto* some : {&X_, &weights_, &y_, &column_, &out_, &more_}) some->resize(kRoom);
    for (auto* some : {&X_, &weights_, &y_, &column_}) fill(*some);
    if (!odd(4))  // else negative ones are among them
      for (double& w : weights_) w = std::abs(w) + 0.1;
    const double same = odd(8) ? bytes_.number() : 1.0;
    for (int i = 0; i < kRows; ++i) X_[static_cast<std::size_t>(i)] = same;
    n_ = 1 + bytes_.below(kRows);
    for (auto& codes : codes_) {
      const int step = bytes_.below(30), divisor = 1 + bytes_.below(6);
      for (int i = 0; i < kRows; ++i) codes.push_back(i * step / divisor % 5);
      if (odd(8)) codes[static_cast<std::size_t>(bytes_.below(kRows))] = bytes_.below(8) - 2;
    }
    ok(cn_options_new(options_.place()));
    ok(cn_options_set_int(options_, "threads", 1));
    ok(cn_options_set_int(options_, "max_evaluations", 12));
    ok(cn_options_set_int(options_, "memory_limit", int64_t{1} << 26));
  }

  void run() {
    make_design(design_, n_);
    make_design(rows_, 1 + bytes_.below(kRows));
    ok(cn_model_new(maybe(design_.pointer), options(), model_.place()));
    ok(cn_response_new(maybe(model_.pointer), maybe(y_.data()), odd(3) ? column_.data() : nullptr,
                       response_.place()));
    ok(cn_fit_new(maybe(response_.pointer), options(), nullptr, 0, fit_.place()));
    for (int calls = 0; calls < 24 && bytes_.left() > 0; ++calls) call();
  }

 private:
  static constexpr std::size_t kRoom = 4096;

  bool odd(int one_in) { return bytes_.below(one_in) == one_in - 1; }
  template <class T>
  T* maybe(T* pointer) {
    return odd(40) ? nullptr : pointer;
  }
  // Ordinary numbers by a seed, and sometimes odd ones among them: few bytes make a design.
  void fill(std::vector<double>& values) {
    std::uint32_t state = bytes_.byte();
    for (int i = 0; i < 3 * kRows; ++i) {
      state = state * 1664525u + 1013904223u;
      values[static_cast<std::size_t>(i)] = static_cast<double>(state >> 20) / 1024.0 - 2.0;
    }
    for (int some = odd(4) ? 1 + bytes_.below(8) : 0; some > 0; --some)
      values[static_cast<std::size_t>(bytes_.below(3 * kRows))] = bytes_.number();
  }
  // The right length, mostly.
  int64_t length(int64_t right) {
    if (!odd(12)) return right;
    constexpr int64_t kOdd[] = {-1,
                                0,
                                1,
                                2,
                                3,
                                7,
                                std::numeric_limits<int64_t>::max(),
                                std::numeric_limits<int64_t>::min()};
    return kOdd[bytes_.below(8)];
  }
  int64_t index(int64_t below) {
    return odd(10) ? length(-2) : bytes_.below(static_cast<int>(below));
  }
  const cn_options* options() { return odd(12) ? nullptr : options_.pointer; }
  int64_t integer(const char* name) {
    int64_t value = 0;
    return ok(cn_model_get_int(model_, name, &value)) ? value : 1;
  }

  // Arrays are as long as they are said to be: only what cannot be checked is always right.
  void make_design(Handle<cn_design, cn_design_free>& design, int64_t n) {
    const int64_t p = bytes_.below(4);
    ok(cn_design_new(odd(30) ? 0 : n, odd(30) ? -1 : p, maybe(X_.data()), design.place()));
    if (odd(3)) ok(cn_design_set_weights(design, maybe(weights_.data())));
    const int factors = 1 + bytes_.below(2);
    for (int f = 0; f < factors; ++f)
      ok(cn_design_add_factor(design, maybe(codes_[static_cast<std::size_t>(f)].data()),
                              odd(20) ? length(4) : 5));
    const int terms = 1 + bytes_.below(2);
    constexpr const char* kNames[] = {"unstructured", "diagonal", "cs", "ar1", "homcs", "odd", ""};
    for (int t = 0; t < terms; ++t) {
      const double* columns[] = {odd(4) ? column_.data() : nullptr, X_.data() + kRows, y_.data()};
      ok(cn_design_add_term(design, index(factors), odd(20) ? -1 : 1 + bytes_.below(2),
                            maybe(columns), odd(3) ? kNames[bytes_.below(7)] : nullptr));
    }
  }

  void call() {
    switch (bytes_.below(14)) {
      case 0:
        return evaluate();
      case 1:
        return get();
      case 2:
        return effects();
      case 3:
        return contrast();
      case 4:
        return predict();
      case 5:
        return simulate();
      case 6:
        return sums();
      case 7:
        return read_bytes();
      case 8:
        return levels();
      case 9:
        return arrow();
      case 10:
        return set_option();
      case 11:
        return refit();
      case 12:
        return treatment();
      default:
        return again();
    }
  }

  void evaluate() {
    if (model_ == nullptr) return;
    const int64_t m = integer("parameters");
    Handle<cn_evaluator, cn_evaluator_free> evaluator;
    ok(cn_evaluator_new(maybe(model_.pointer), options(), evaluator.place()));
    fill(out_);
    ok(cn_evaluator_objective(evaluator, maybe(response_.pointer), maybe(out_.data()),
                              small(length(m)), maybe(more_.data()), maybe(more_.data() + 1)));
    ok(cn_fit_at(response_, options(), maybe(out_.data()), small(length(m)), fit_.place()));
  }
  // A length within the room there is.
  static int64_t small(int64_t length) {
    return length > static_cast<int64_t>(kRoom) / 2 ? 5 : length;
  }

  void get() {
    constexpr const char* kNames[] = {"theta",     "beta",      "standard_errors", "vcov",
                                      "fitted",    "leverages", "objective",       "sigma",
                                      "converged", "odd"};
    const char* name = maybe(kNames[bytes_.below(10)]);
    int64_t length_of = 0;
    double value = 0.0;
    if (ok(cn_fit_length(fit_, name, &length_of)))
      ok(cn_fit_get_array(fit_, name, maybe(out_.data()), length(length_of)));
    ok(cn_fit_get_double(fit_, name, &value));
    ok(cn_fit_get_int(fit_, name, &length_of));
    ok(cn_model_get_int(maybe(model_.pointer), name, &length_of));
    require(cn_fit_message(fit_) != nullptr, "no message of a fit");
    int64_t columns[8];
    ok(cn_model_pivot(model_, columns, length(model_ == nullptr ? 0 : integer("rank"))));
    ok(cn_model_bounds(model_, out_.data(), more_.data(),
                       length(model_ == nullptr ? 0 : integer("parameters"))));
  }

  void effects() {
    const int64_t term = index(3);
    int64_t k = 0, J = 0;
    if (!ok(cn_model_term(model_, term, &k, &J)) || fit_ == nullptr) return;
    if (k * k * J > static_cast<int64_t>(kRoom)) return;
    ok(cn_fit_modes(fit_, term, maybe(out_.data()), length(k * J)));
    ok(cn_fit_mode_variances(fit_, term, maybe(out_.data()), length(k * k * J)));
  }

  void contrast() {
    fill(out_);
    double value = 0.0, error = 0.0, df = 0.0;
    const int64_t rank = model_ == nullptr ? 1 : integer("rank");
    ok(cn_fit_contrast(fit_, maybe(out_.data()), length(rank), &value, maybe(&error), &df));
    ok(cn_fit_kenward_roger(fit_, maybe(out_.data()), length(rank), &value, &error, maybe(&df)));
  }

  void predict() {
    int32_t included[] = {bytes_.below(2), bytes_.below(2)};
    const int64_t count = odd(2) ? n_ : 1 + bytes_.below(kRows);
    ok(cn_fit_predict(fit_, maybe(odd(2) ? rows_.pointer : design_.pointer),
                      odd(2) ? included : nullptr, maybe(out_.data()), maybe(more_.data()), count));
  }

  void simulate() {
    if (model_ == nullptr) return;
    const int64_t count = odd(10) ? length(3) : bytes_.below(3);
    ok(cn_fit_simulate(fit_, bytes_.below(2), bytes_.byte(), length(0), count, maybe(out_.data()),
                       integer("n") * (count < 0 || count > 3 ? 1 : count)));
  }

  void refit() {
    if (model_ == nullptr) return;
    fill(out_);
    double sigma[3];
    int32_t status[3];
    ok(cn_refit_many(model_, options(), maybe(out_.data()), odd(10) ? -1 : bytes_.below(3), nullptr,
                     sigma, nullptr, more_.data(), nullptr, status));
    int64_t parameters = 0;
    if (!odd(6) || !ok(cn_profile_length(response_, &parameters))) return;
    ok(cn_profile_intervals(response_, options(), bytes_.number(), out_.data(), more_.data(),
                            length(parameters)));
  }

  void sums() {
    Handle<cn_sums, cn_sums_free> sums, copy;
    const int64_t intercept = odd(4) ? length(-1) : 0;
    if (!ok(cn_sums_new(maybe(design_.pointer), maybe(y_.data()), intercept, sums.place()))) return;
    ok(cn_sums_copy(maybe(sums.pointer), copy.place()));
    ok(cn_sums_add(sums, maybe(design_.pointer), y_.data()));
    ok(cn_sums_add(copy, rows_, maybe(y_.data())));
    ok(cn_sums_merge(sums, copy));
    int64_t rows = 0;
    if (!ok(cn_sums_bytes(sums, &rows))) return;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(rows));
    ok(cn_sums_serialize(sums, maybe(bytes.data()), length(rows)));
    ok(cn_sums_serialize(sums, bytes.data(), rows));
    for (int edits = bytes_.below(4); edits > 0; --edits)
      bytes[(bytes_.byte() * 256u + bytes_.byte()) % bytes.size()] = bytes_.byte();
    fit_bytes(bytes);
  }

  void read_bytes() {
    std::vector<std::uint8_t> bytes(bytes_.rest(), bytes_.rest() + bytes_.left());
    if (bytes.size() < 16) bytes.resize(16);
    constexpr std::uint8_t kStart[] = {1, 0, 'C', 'N', 'S', 'U', 'M', 'S'};
    if (odd(2)) std::memcpy(bytes.data(), kStart, sizeof kStart);
    fit_bytes(bytes);
  }

  // With a check sum that is right, mostly.
  void fit_bytes(std::vector<std::uint8_t>& bytes) {
    crossnest::ByteWriter check;
    check(crossnest::check_sum(bytes.data(), bytes.size() - 8));
    if (!odd(8)) std::memcpy(bytes.data() + bytes.size() - 8, check.bytes().data(), 8);
    Handle<cn_sums, cn_sums_free> sums;
    Handle<cn_model, cn_model_free> model;
    Handle<cn_response, cn_response_free> response;
    Handle<cn_fit, cn_fit_free> fit;
    if (!ok(cn_sums_deserialize(bytes.data(), static_cast<int64_t>(bytes.size()), sums.place())))
      return;
    if (!ok(cn_model_from_sums(sums, options_, model.place()))) return;
    if (!ok(cn_response_from_sums(odd(4) ? model_ : model, sums, response.place()))) return;
    ok(cn_fit_new(response, options_, nullptr, 0, fit.place()));
  }

  void levels() {
    Handle<cn_levels, cn_levels_free> levels, others;
    std::vector<std::string> texts;
    std::vector<const char*> labels;
    std::vector<int64_t> lengths, numbers;
    for (int i = 0; i < 8; ++i) {
      texts.emplace_back(static_cast<std::size_t>(bytes_.below(4)),
                         static_cast<char>(bytes_.byte()));
      numbers.push_back(bytes_.byte() - 128);
    }
    for (const std::string& text : texts) {
      labels.push_back(maybe(text.c_str()));
      lengths.push_back(odd(30) ? -1 : static_cast<int64_t>(text.size()));
    }
    int32_t codes[8];
    const int64_t n = odd(12) ? -1 : bytes_.below(9);
    ok(cn_levels_from_strings(n, maybe(labels.data()), odd(2) ? lengths.data() : nullptr,
                              levels.place(), maybe(codes)));
    ok(cn_levels_from_integers(n, maybe(numbers.data()), others.place(), codes));
    ok(cn_levels_code_strings(odd(3) ? others : levels, n, labels.data(), nullptr, maybe(codes)));
    ok(cn_levels_code_integers(odd(3) ? levels : others, n, numbers.data(), codes));
    ok(cn_levels_merge(levels, odd(3) ? others : levels));
    const char* label = nullptr;
    int64_t count = 0;
    ok(cn_levels_count(levels, &count));
    if (ok(cn_levels_string(levels, index(8), &label, &count)))
      require(std::strlen(label) <= static_cast<std::size_t>(count), "a string without its end");
    ok(cn_levels_integer(others, index(8), &count));
  }

  // Buffers are as long as the largest array needs; what they hold is anything.
  void arrow() {
    constexpr const char* kFormats[] = {"u", "U", "c", "C", "s", "S", "i",
                                        "I", "l", "L", "f", "g", "b", "+s"};
    constexpr int kLength = 6;
    // Offsets are those of strings of no more than 8 bytes.
    std::vector<std::uint8_t> small(16), offsets(16 * 8), text(64);
    for (auto& byte : small) byte = bytes_.byte();
    for (auto& byte : text) byte = bytes_.byte();
    const char* format = kFormats[bytes_.below(14)];
    const std::size_t width = *format == 'u' ? 4 : 8;
    for (std::size_t i = 0; i < 12; ++i)
      offsets[width * i] = static_cast<std::uint8_t>(odd(30) ? bytes_.byte() % 64u : 4 * i);
    if (*format != 'u' && *format != 'U')
      for (auto& byte : offsets) byte = odd(3) ? bytes_.byte() : 0;
    const void* buffers[] = {odd(2) ? small.data() : nullptr, maybe(offsets.data()),
                             maybe(text.data())};
    const auto array_of = [&](const void** of, int64_t length_of, const char* with) {
      ArrowArray array{};
      array.length = length_of;
      array.offset = odd(2) ? bytes_.below(4) : 0;
      array.null_count = odd(3) ? 0 : -1;
      array.n_buffers = odd(30) ? 1 : (*with == 'u' || *with == 'U' ? 3 : 2);
      array.buffers = maybe(of);
      if (!odd(30)) array.release = ignore;
      return array;
    };
    ArrowSchema schema{}, words{};
    schema.format = format;
    schema.release = words.release = ignore;
    ArrowArray array = array_of(buffers, odd(30) ? -1 : bytes_.below(kLength), format);
    words.format = "u";
    std::vector<int32_t> ends = {0, 2, 4, 4, 6, 9, 12, 12, 13, 14};
    const void* word_buffers[] = {nullptr, ends.data(), text.data()};
    ArrowArray dictionary = array_of(word_buffers, bytes_.below(6), "u");
    if (odd(3)) {
      schema.dictionary = maybe(&words);
      array.dictionary = maybe(&dictionary);
    }
    Handle<cn_levels, cn_levels_free> levels;
    int32_t codes[kLength];
    ok(cn_levels_from_arrow(maybe(&schema), maybe(&array), levels.place(), maybe(codes)));
    ok(cn_levels_code_arrow(levels, &schema, &array, maybe(codes), length(array.length)));
    ok(cn_arrow_numbers(&schema, &array, maybe(out_.data()), length(array.length)));
  }

  void set_option() {
    constexpr const char* kNames[] = {"reml", "tail", "tolerance", "max_evaluations", "odd"};
    constexpr const char* kTails[] = {"automatic", "dense", "sparse", "odd"};
    const char* name = maybe(kNames[bytes_.below(5)]);
    if (name == nullptr || std::strcmp(name, "max_evaluations") != 0)
      ok(cn_options_set_int(options_, name, odd(3) ? length(2) : bytes_.below(3)));
    ok(cn_options_set_double(options_, name, bytes_.number()));
    ok(cn_options_set_string(options_, name, maybe(kTails[bytes_.below(4)])));
  }

  void treatment() {
    ok(cn_treatment_columns(odd(10) ? -1 : n_, maybe(codes_[0].data()), odd(10) ? length(3) : 5,
                            index(5), maybe(out_.data()), length(n_ * 4)));
  }

  // Another fit of the same model, from a start.
  void again() {
    fill(y_);
    ok(cn_response_new(model_, y_.data(), nullptr, response_.place()));
    const int64_t m = model_ == nullptr ? 1 : integer("parameters");
    ok(cn_fit_new(response_, options(), odd(2) ? more_.data() : nullptr, small(length(m)),
                  fit_.place()));
  }

  Bytes& bytes_;
  int64_t n_ = 1;
  std::vector<double> X_, weights_, y_, column_, out_, more_;
  std::vector<int32_t> codes_[2];
  Handle<cn_options, cn_options_free> options_;
  Handle<cn_design, cn_design_free> design_, rows_;
  Handle<cn_model, cn_model_free> model_;
  Handle<cn_response, cn_response_free> response_;
  Handle<cn_fit, cn_fit_free> fit_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  Session(bytes).run();
  return 0;
}
