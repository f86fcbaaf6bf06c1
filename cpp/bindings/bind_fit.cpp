#include <algorithm>
#include <optional>

#include "py_problem.hpp"

namespace {

using crossnest::Estimates;
using crossnest::Evaluator;
using crossnest::Fit;
using crossnest::Response;

// A read-only array over numbers of the fit, which it keeps alive.
py::array_t<double> view(const py::object& owner, const std::vector<double>& values,
                         std::vector<py::ssize_t> shape, bool fortran = false) {
  constexpr py::ssize_t size = sizeof(double);
  std::vector<py::ssize_t> strides(shape.size(), size);
  if (shape.size() == 2) strides[fortran ? 1 : 0] = size * shape[fortran ? 0 : 1];
  py::array_t<double> array(std::move(shape), std::move(strides), values.data(), owner);
  array.attr("flags").attr("writeable") = false;
  return array;
}

template <class Member>
auto vector_of(Member member) {
  return [member](const py::object& self) {
    const std::vector<double>& values = member(self.cast<const PyFit&>().fit);
    return view(self, values, {static_cast<py::ssize_t>(values.size())});
  };
}

// One (J, k) array for each term; k is the number of b's of a level.
py::list by_term(const py::object& self, const std::vector<std::vector<double>>& values,
                 const std::vector<py::ssize_t>& k) {
  py::list list;
  for (std::size_t t = 0; t < values.size(); ++t)
    list.append(view(self, values[t], {static_cast<py::ssize_t>(values[t].size()) / k[t], k[t]}));
  return list;
}

std::vector<py::ssize_t> sizes(const Fit& fit) {
  return {fit.estimates.effects.begin(), fit.estimates.effects.end()};
}

// One (J, k, k) array for each term.
py::list cond_var(const PyFit& self) {
  const auto variances = self.problem->run([&](Evaluator& evaluator, const Response& response) {
    return evaluator.conditional_variances(response, self.fit.estimates);
  });
  py::list list;
  for (std::size_t t = 0; t < variances.size(); ++t) {
    const auto k = static_cast<py::ssize_t>(self.fit.estimates.effects[t]);
    const auto levels = static_cast<py::ssize_t>(variances[t].size()) / (k * k);
    list.append(array_of(variances[t], {levels, k, k}));
  }
  return list;
}

using ByFactor = std::vector<std::vector<double>>;

// What of_factor(covariance, factor) computes for each grouping factor.
template <class OfFactor>
ByFactor for_factors(const PyFit& self, OfFactor&& of_factor) {
  return self.problem->run([&](Evaluator& evaluator, const Response& response) {
    const auto covariance = evaluator.conditional_covariance(response, self.fit.estimates);
    ByFactor all;
    for (std::size_t f = 0; f < evaluator.model().design().factors.size(); ++f)
      all.push_back(of_factor(covariance, static_cast<int>(f)));
    return all;
  });
}

// One (J, K, width) array for each grouping factor, K the effects of all terms on it.
py::list by_factor(const PyFit& self, const ByFactor& values, std::optional<py::ssize_t> width) {
  const crossnest::Design& design = self.problem->model().design();
  py::list list;
  for (std::size_t f = 0; f < values.size(); ++f) {
    py::ssize_t effects = 0;
    for (std::size_t t = 0; t < design.terms.size(); ++t)
      if (design.terms[t].factor == static_cast<int>(f)) effects += self.fit.estimates.effects[t];
    const auto levels = static_cast<py::ssize_t>(design.factors[f].levels);
    list.append(array_of(values[f], {levels, effects, width.value_or(effects)}));
  }
  return list;
}

py::list effect_loadings(const PyFit& self) {
  const std::vector<double>& RX = self.fit.estimates.RX;
  const auto values =
      for_factors(self, [&](const auto& covariance, int f) { return covariance.loadings(f, RX); });
  return by_factor(self, values, static_cast<py::ssize_t>(self.fit.estimates.beta.size()));
}

py::list effect_covariances(const PyFit& self) {
  const auto values =
      for_factors(self, [](const auto& covariance, int f) { return covariance.within(f); });
  return by_factor(self, values, std::nullopt);
}

using Indices = py::array_t<crossnest::Index, py::array::c_style | py::array::forcecast>;

py::array_t<double> effect_covariances_among(const PyFit& self, const Indices& start,
                                             const Indices& factors, const Indices& levels) {
  const std::vector<crossnest::Index> ends(start.data(), start.data() + start.size());
  if (factors.size() != levels.size() || ends.empty() || ends.front() != 0 ||
      ends.back() != levels.size() || !std::is_sorted(ends.begin(), ends.end()))
    throw py::value_error("start must increase from 0 to the number of factors and of levels");
  std::vector<crossnest::LevelOf> all;
  for (py::ssize_t i = 0; i < levels.size(); ++i)
    all.push_back(
        {static_cast<int>(factors.data()[i]), static_cast<crossnest::Level>(levels.data()[i])});
  const auto values = self.problem->run([&](Evaluator& evaluator, const Response& response) {
    return evaluator.conditional_covariance(response, self.fit.estimates).among(ends, all);
  });
  return array_of(values);
}

const char* kind_name(crossnest::Confounding::Kind kind) {
  using Kind = crossnest::Confounding::Kind;
  switch (kind) {
    case Kind::fixed:
      return "fixed";
    case Kind::dependent:
      return "dependent";
    case Kind::repeated:
      return "repeated";
    case Kind::shared:
      return "shared";
    case Kind::residual:
      return "residual";
    case Kind::exact:
      return "exact";
  }
  return "";
}

py::list confounded(const PyFit& self) {
  py::list list;
  for (const crossnest::Confounding& one : self.fit.confounded) {
    py::dict entry;
    entry["kind"] = kind_name(one.kind);
    entry["term"] = one.term;
    entry["effects"] = py::cast(one.effects);
    entry["combination"] = one.combination;
    entry["other"] = one.other;
    list.append(entry);
  }
  return list;
}

py::array_t<double> leverages(const PyFit& self) {
  const auto values = self.problem->run([&](Evaluator& evaluator, const Response& response) {
    return evaluator.leverages(response, self.fit.estimates);
  });
  return array_of(values);
}

using Matrix = py::array_t<double, py::array::f_style | py::array::forcecast>;
using Codes = py::array_t<crossnest::Level, py::array::c_style | py::array::forcecast>;

// Rows to predict at, as a design that looks at arrays it keeps.
class NewRows {
 public:
  NewRows(const Matrix& X, const std::vector<Codes>& codes,
          const std::vector<std::vector<std::optional<Numbers>>>& columns,
          const crossnest::Design& fitted)
      : X_(X), codes_(codes), columns_(columns) {
    if (X_.ndim() != 2) throw py::value_error("X must have two dimensions");
    design_.n = X_.shape(0);
    design_.p = X_.shape(1);
    design_.X = X_.data();
    for (std::size_t f = 0; f < codes_.size(); ++f)
      design_.factors.push_back({checked(codes_[f]), fitted.factors.at(f).levels});
    for (std::size_t t = 0; t < columns_.size(); ++t) {
      crossnest::Term term = fitted.terms.at(t);
      term.columns.clear();
      for (const auto& column : columns_[t])
        term.columns.push_back(column ? checked(*column) : nullptr);
      design_.terms.push_back(std::move(term));
    }
  }
  const crossnest::Design& design() const { return design_; }

 private:
  template <class T, int flags>
  const T* checked(const py::array_t<T, flags>& array) const {
    if (array.ndim() != 1 || array.shape(0) != design_.n)
      throw py::value_error("every array must have one value for each row of X");
    return array.data();
  }

  Matrix X_;
  std::vector<Codes> codes_;
  std::vector<std::vector<std::optional<Numbers>>> columns_;
  crossnest::Design design_;
};

py::array_t<double> prediction_variances(
    const PyFit& self, const Matrix& X, const std::vector<Codes>& codes,
    const std::vector<std::vector<std::optional<Numbers>>>& columns,
    const std::vector<bool>& included) {
  const NewRows rows(X, codes, columns, self.problem->model().design());
  const auto values = self.problem->run([&](Evaluator& evaluator, const Response& response) {
    return evaluator.prediction_variances(response, self.fit.estimates, rows.design(), included);
  });
  return array_of(values);
}

}  // namespace

void bind_fit(py::module_& module) {
  const auto estimate = [](auto field) {
    return [field](const PyFit& self) { return self.fit.estimates.*field; };
  };
  const auto found = [](auto field) {
    return [field](const PyFit& self) { return self.fit.*field; };
  };
  py::class_<PyFit>(module, "Fit")
      .def_property_readonly("theta",
                             vector_of([](const Fit& fit) -> auto& { return fit.estimates.theta; }))
      .def_property_readonly("beta",
                             vector_of([](const Fit& fit) -> auto& { return fit.estimates.beta; }))
      .def_property_readonly(
          "fitted", vector_of([](const Fit& fit) -> auto& { return fit.estimates.fitted; }))
      .def_property_readonly("start", vector_of([](const Fit& fit) -> auto& { return fit.start; }))
      .def_property_readonly("RX",
                             [](const py::object& self) {
                               const Estimates& estimates = self.cast<const PyFit&>().fit.estimates;
                               const auto rank = static_cast<py::ssize_t>(estimates.beta.size());
                               return view(self, estimates.RX, {rank, rank}, true);
                             })
      .def_property_readonly("u",
                             [](const py::object& self) {
                               const Fit& fit = self.cast<const PyFit&>().fit;
                               return by_term(self, fit.estimates.u, sizes(fit));
                             })
      .def_property_readonly("b",
                             [](const py::object& self) {
                               const Fit& fit = self.cast<const PyFit&>().fit;
                               return by_term(self, fit.estimates.b, sizes(fit));
                             })
      .def_property_readonly("objective", estimate(&Estimates::objective))
      .def_property_readonly("sigma", estimate(&Estimates::sigma))
      .def_property_readonly("pwrss", estimate(&Estimates::pwrss))
      .def_property_readonly("logdet_omega", estimate(&Estimates::log_det_omega))
      .def_property_readonly("logdet_C", estimate(&Estimates::log_det_C))
      .def_property_readonly("reml", estimate(&Estimates::reml))
      .def_property_readonly(
          "nu", [](const PyFit& self) { return static_cast<long long>(self.fit.estimates.nu); })
      .def_property_readonly("singular", estimate(&Estimates::singular))
      .def_property_readonly("converged", found(&Fit::converged))
      .def_property_readonly("predicted_decrease", found(&Fit::predicted_decrease))
      .def_property_readonly("evaluations", found(&Fit::evaluations))
      .def_property_readonly("gradient_evaluations", found(&Fit::gradients))
      .def_property_readonly("message", found(&Fit::message))
      .def_property_readonly("seconds", found(&Fit::seconds))
      .def_property_readonly("confounded", &confounded)
      .def("cond_var", &cond_var)
      .def("effect_loadings", &effect_loadings)
      .def("effect_covariances", &effect_covariances)
      .def("effect_covariances_among", &effect_covariances_among, py::arg("start"),
           py::arg("factors"), py::arg("levels"))
      .def("leverages", &leverages)
      .def("prediction_variances", &prediction_variances, py::arg("X"), py::arg("codes"),
           py::arg("columns"), py::arg("included"));
}
