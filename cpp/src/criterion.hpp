// The profiled criterion d(theta), its gradient and its average-information matrix.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "border.hpp"
#include "coordinates.hpp"
#include "covariance_parameters.hpp"
#include "factor.hpp"

namespace crossnest {

/// Which coordinates a theta refers to: the user's, or the engine's (see Coordinates).
enum class Frame { user, engine };

/// The profiled deviance (ML) or REML criterion as a function of theta,
///
///     d = log|Omega| + [REML] log|C| + nu (1 + log(2 pi r2 / nu)) - sum log w,
///
/// always on the user's scale; its derivatives; and everything estimated at a theta. Bates,
/// Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), equations 34-42. Nothing here depends
/// on the number of rows.
class Criterion {
 public:
  /// The arguments must outlive the criterion.
  Criterion(const CovarianceParameters& parameters, const std::vector<Block>& blocks,
            const Coordinates& coordinates, const CrossProducts& A, FactorWorkspace& workspace);

  const CovarianceParameters& covariance() const { return covariance_; }
  /// The length of theta.
  int parameters() const { return covariance_.size(); }
  double nu(bool reml) const;

  /// Takes the response that all that follows is about; it must outlive that.
  void use(const Response& response) { response_ = &response; }
  const Response& response() const { return *response_; }
  /// Whether a parameter takes no part in the search; see identifiability.hpp.
  bool is_held(int parameter, bool reml) const;
  /// The parameters to be estimated, increasing.
  std::vector<Eigen::Index> free_parameters(bool reml) const;
  /// Gives the held parameters of a theta (engine's coordinates) their values.
  void impose(double* theta, bool reml) const;

  /// d(theta); +infinity where the factorization fails.
  double objective(const double* theta, Frame frame, bool reml);
  /// How far off rounding may put the last objective(), which must have been finite: r2 is what is
  /// left where larger numbers cancel, and d has nu log r2.
  double rounding_error() { return rounding_error(unconstrained_, nu(reml_)); }
  /// The same of any criterion of the form that differentiate() speaks of, after factorize() too.
  double rounding_error(const std::vector<double>& direction, double weight);
  /// The gradient at the theta of the last objective() call, which must have been finite. With
  /// `information` (m x m, column-major) also the average-information matrix, an approximation of
  /// the Hessian of d that is never indefinite (Gilmour, Thompson and Cullis 1995, Biometrics 51).
  void gradient(double* gradient, double* information = nullptr);

  /// Factors at any k x k factors lambda of the terms (column-major, engine's coordinates), which
  /// need not be those of a theta. False where that fails.
  bool factorize(const std::vector<std::vector<double>>& lambda);
  /// Computes lambda_gradient() at the last factorization for any criterion of the form
  /// log|Omega| + [REML] log|C| + f(|F [-beta; 1]|^2) that beta minimizes or is constrained in:
  /// `direction` is F [-beta; 1] scaled to length one (border), `weight` is f'(r2) r2. gradient()
  /// itself takes beta unconstrained, direction (0, ..., 0, 1), and f = nu log, weight nu.
  void differentiate(const std::vector<double>& direction, double weight, bool reml);

  /// theta in other coordinates: the same covariance matrices of the random effects.
  std::vector<double> to_user(const double* internal) const;
  std::vector<double> to_internal(const double* user) const;

  /// Whether the last objective() call was for this theta in the engine's coordinates, with no
  /// factorize() since.
  bool is_at(const std::vector<double>& internal) const {
    return frame_ == Frame::engine && internal == theta_;
  }
  /// Whether a term's lambda is singular at a theta in the engine's coordinates: a parameter is at
  /// a bound.
  bool is_singular(int term, const double* internal) const;
  /// The same of an estimate: scales that are held at zero, and not estimated, do not count.
  bool is_estimated_singular(int term, const double* internal) const;

  /// d d / d lambda of a term (k x k, in the engine's coordinates), after gradient() or
  /// differentiate().
  const std::vector<double>& lambda_gradient(int term) const {
    return lambda_gradient_[static_cast<std::size_t>(term)];
  }
  /// lambda of a block (k x k) at the last theta, in the engine's coordinates.
  const std::vector<double>& lambda(int block) const {
    return lambda_[static_cast<std::size_t>(block)];
  }
  /// out := Lambda V or Lambda'V at the last theta, V with `columns` columns of length q; `out`
  /// must not be V.
  void multiply_lambda(const double* V, int columns, double* out) const;
  void multiply_lambda_transposed(const double* V, int columns, double* out) const;
  /// r2 at the last theta, in the engine's coordinates.
  double pwrss() const;
  /// The columns of Z'V^-1 [X y - X beta] F^-1 from `first` on, q x (border - first), at the last
  /// theta. The last one is g / sqrt(r2), g = Z'W(y - X beta - Z b).
  std::vector<double> scores(int first);
  /// Memory the gradient and the average information take beside the factor, about.
  static double workspace_bytes(Index q, int border, double parameters);
  /// At the last factorization, which must have succeeded: log|Omega|, F and U_F; the factor; the
  /// inverse. A factor is inverted, or made again, as one or the other is asked for.
  const Elimination& elimination() const;
  const Factor& factor();
  const InverseDiagonal& inverse_diagonal();
  const Inverse& inverse();
  /// Whether the factor is still there after gradient(), for more solves at the same theta.
  bool keeps_factor() const { return workspace_.keeps_factor(); }
  /// The vectors of random effects.
  const EffectVectors& vectors() const { return vectors_; }
  const Coordinates& coordinates() const { return coordinates_; }
  /// sum log w.
  double log_weights() const { return A_.log_weights(); }

 private:
  void set_lambda(const double* theta, Frame frame);
  void place(int block, std::size_t j, const double* lambda);
  bool compact(int block, std::size_t j);
  void sum_response(const std::vector<double>& direction);
  bool factorize();
  void restore(InverseDiagonal&& inverse);
  void sum_bracket(const InverseDiagonal& omega, int block, double weight, bool reml);
  /// The effects of a term within its block.
  struct Range {
    int first, last;
  };
  void change_coordinates(int term, const Eigen::MatrixXd& T, double* theta) const;
  Range range(int block, std::size_t term) const;
  void sum_general(const Inverse& omega, const std::vector<double>& direction, double weight,
                   bool reml);
  void add_cross_products(const Inverse& omega);
  void average_information(double* information);
  void find_scores(int first, std::vector<double>& g);
  void find_directions(const std::vector<double>& g, std::vector<double>& f);
  void add_border_product(const double* f, double* out) const;

  const CovarianceParameters& covariance_;
  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  const CrossProducts& A_;
  FactorWorkspace& workspace_;
  const Response* response_ = nullptr;
  const EffectVectors& vectors_;
  const Border& beside_;
  std::variant<std::monostate, Factor, InverseDiagonal, Inverse> state_;
  int border_;

  std::vector<double> theta_;
  Frame frame_ = Frame::engine;
  bool reml_ = true;
  std::vector<std::vector<double>> lambda_;           // by block
  std::vector<std::vector<double>> lambda_gradient_;  // by term
  std::vector<std::vector<double>> sums_;             // by block: k x k, bracket or general sum
  std::vector<double> inverse_, scratch_;             // k x k of the widest term
  std::vector<double> row_;                           // one k x border or k x k block
  std::vector<double> LambdaU_, ALambdaU_;            // q x border
  std::vector<double> solution_;                      // q, U_F direction
  /// Of scores() and the average information, kept from one step of a search to the next.
  struct Workspace {
    std::vector<double> inverse;                 // border x border: columns of F^-1
    std::vector<double> LambdaU, scores, other;  // q
    std::vector<double> f, e;                    // q x m
    std::vector<double> z;                       // border x m
    std::vector<double> derivative;              // k x k of the widest term
    std::vector<char> zero;                      // which of its columns are
  };
  Workspace work_;
  std::vector<double> unconstrained_;  // border: (0, ..., 0, 1)
};

}  // namespace crossnest
