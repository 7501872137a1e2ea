#include "convoy/optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "tests/refusal.h"

namespace convoy::optim {
namespace {

using testing::reason;

using Make = std::function<std::unique_ptr<Optimizer>(std::vector<Variable>)>;

struct Golden {
  std::string name;
  Make make;
  std::vector<double> float64, float32;  // PyTorch 1.13 after seven steps
};

Make sgd(SGDOptions options) {
  return [=](std::vector<Variable> parameters) { return std::make_unique<SGD>(std::move(parameters), options); };
}
Make adam(AdamOptions options = {}) {
  return [=](std::vector<Variable> parameters) { return std::make_unique<Adam>(std::move(parameters), options); };
}
Make adamw(AdamOptions options) {
  return [=](std::vector<Variable> parameters) { return std::make_unique<AdamW>(std::move(parameters), options); };
}

// The parameter starts at {0.5, -1.25, 2, 0, -0.75}; gradient i of step t is ((7 i + 5 t) mod 11 - 5) / 4.
Variable start(DType dtype) { return {Tensor::from(std::vector<double>{0.5, -1.25, 2.0, 0.0, -0.75}, {5}).to(dtype), true}; }

Tensor gradient(int t, DType dtype) {
  std::vector<double> values;
  for (int i = 0; i < 5; ++i) values.push_back(((7 * i + 5 * t) % 11 - 5) / 4.0);
  return Tensor::from(values, {5}).to(dtype);
}

const std::vector<Golden>& goldens() {
  static const std::vector<Golden> list = {
      {"SGD",
       sgd({.lr = 0.1}),
       {0.4, -1.2, 2.1999999999999997, -0.2, -0.7999999999999999},
       {0.4000000059604645, -1.1999999284744263, 2.1999998092651367, -0.20000000298023224, -0.800000011920929}},
      {"SGD weight_decay",
       sgd({.lr = 0.1, .weight_decay = 0.01}),
       {0.3963365804942387, -1.1916257313189986, 2.185792329570408, -0.19905214740184926, -0.7948151994009843},
       {0.39633655548095703, -1.1916255950927734, 2.1857926845550537, -0.1990521401166916, -0.794815182685852}},
      {"SGD momentum",
       sgd({.lr = 0.1, .momentum = 0.9}),
       {0.47521637499999986, -0.9272950499999999, 2.3931148, -0.8832991250000001, -0.796852025},
       {0.4752163290977478, -0.9272950291633606, 2.3931150436401367, -0.8832989931106567, -0.7968519926071167}},
      {"SGD dampening",
       sgd({.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.02}),
       {0.6553145377872013, -1.0587342747309467, 2.28101223116651, -0.8056029765567068, -0.7964215547312005},
       {0.6553145051002502, -1.0587342977523804, 2.2810122966766357, -0.8056029677391052, -0.7964215874671936}},
      {"SGD nesterov",
       sgd({.lr = 0.05, .momentum = 0.8, .weight_decay = 0.02, .nesterov = true}),
       {0.4048691728043744, -1.0958296242066634, 2.1945002922262677, -0.3714240073174, -0.7892494987308861},
       {0.40486910939216614, -1.0958296060562134, 2.194500207901001, -0.3714240491390228, -0.7892494797706604}},
      {"Adam",
       adam(),
       {0.5010000046610358, -1.2495343017382325, 2.001927942902057, -0.0036320761376977726, -0.750517605413571},
       {0.5009999871253967, -1.2495343685150146, 2.0019278526306152, -0.0036320763174444437, -0.7505175471305847}},
      {"Adam weight_decay",
       adam({.lr = 0.05, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1}),
       {0.5145981701914216, -1.1860873087095551, 2.016640169593033, -0.16564791931224399, -0.7609656742440037},
       {0.5145981907844543, -1.1860873699188232, 2.0166399478912354, -0.165647953748703, -0.7609656453132629}},
      {"Adam amsgrad",
       adam({.lr = 0.05, .beta2 = 0.5, .amsgrad = true}),
       {0.54917308985289, -1.2385962568047886, 2.0879527348615428, -0.17214702150011674, -0.7802909782617087},
       {0.54917311668396, -1.2385962009429932, 2.0879526138305664, -0.17214703559875488, -0.7802909016609192}},
      {"AdamW",
       adamw({.lr = 0.05, .weight_decay = 0.01}),
       {0.5480422696793996, -1.222314944793055, 2.0892443860505505, -0.18126007818015863, -0.7732110804077509},
       {0.5480421781539917, -1.2223148345947266, 2.0892443656921387, -0.18126004934310913, -0.7732109427452087}},
      {"AdamW amsgrad",
       adamw({.lr = 0.05, .weight_decay = 0.3, .amsgrad = true}),
       {0.49369499680768675, -1.1003760037786632, 1.8908694928130345, -0.17156994326450117, -0.6992246065944773},
       {0.4936950206756592, -1.1003762483596802, 1.8908696174621582, -0.17156995832920074, -0.6992246508598328}},
  };
  return list;
}

void run(Optimizer& optimizer, Variable& parameter, int first, int last) {
  for (int t = first; t < last; ++t) {
    parameter.grad() = gradient(t, parameter.dtype());
    optimizer.step();
  }
}

TEST(Optimizer, GivesPyTorchsValues) {
  for (const Golden& golden : goldens()) {
    for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
      SCOPED_TRACE(golden.name + " " + dtype_name(dtype));
      Variable parameter = start(dtype);
      const void* const memory = parameter.data().raw_data();
      run(*golden.make({parameter}), parameter, 0, 7);
      EXPECT_EQ(parameter.data().raw_data(), memory) << "the update is in place";
      const std::vector<double>& expected = dtype == DType::kFloat64 ? golden.float64 : golden.float32;
      for (int64_t i = 0; i < 5; ++i) {
        const double want = expected[static_cast<size_t>(i)];
        EXPECT_NEAR(parameter.data().at(i), want, std::fabs(want) * (dtype == DType::kFloat64 ? 1e-12 : 1e-6)) << i;
      }
    }
  }
}

TEST(Optimizer, AResumedRunGivesTheSameBits) {
  for (const Golden& golden : goldens()) {
    for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
      SCOPED_TRACE(golden.name + " " + dtype_name(dtype));
      Variable whole = start(dtype);
      run(*golden.make({whole}), whole, 0, 7);

      Variable first = start(dtype);
      const auto before = golden.make({first});
      run(*before, first, 0, 3);
      const OptimizerState state = before->state();
      Variable second(first.data().clone(), true);
      run(*before, first, 3, 5);  // must not reach into the saved state
      const auto after = golden.make({second});
      after->load_state(state);
      run(*after, second, 3, 7);
      EXPECT_TRUE(identical(whole.data(), second.data()));
    }
  }
}

TEST(Optimizer, CountsTheStepsOfEachParameter) {
  for (const Golden& golden : goldens()) {
    SCOPED_TRACE(golden.name);
    Variable early = start(DType::kFloat64), late = start(DType::kFloat64), never = start(DType::kFloat64);
    const auto optimizer = golden.make({early, late, never});
    for (int t = 0; t < 9; ++t) {
      early.grad() = t < 7 ? gradient(t, DType::kFloat64) : Tensor();
      late.grad() = t >= 2 ? gradient(t - 2, DType::kFloat64) : Tensor();
      optimizer->step();
    }
    EXPECT_TRUE(identical(early.data(), late.data()));
    EXPECT_TRUE(identical(never.data(), start(DType::kFloat64).data()));
    optimizer->zero_grad();
    EXPECT_FALSE(late.grad().defined());
  }
}

TEST(Optimizer, IsTheSameForEveryThreadCount) {
  const int64_t n = 100003;  // several tasks and a tail
  Generator generator(3);
  const Tensor values = randn({n}, DType::kFloat32, &generator), gradients = randn({n}, DType::kFloat32, &generator);
  for (const Golden& golden : goldens()) {
    std::vector<Tensor> results;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      Variable parameter(values.clone(), true);
      const auto optimizer = golden.make({parameter});
      for (int t = 0; t < 3; ++t) {
        parameter.grad() = gradients;
        optimizer->step();
      }
      results.push_back(parameter.data());
    }
    set_num_threads(0);
    EXPECT_TRUE(identical(results[0], results[1])) << golden.name;
    EXPECT_FALSE(identical(results[0], values)) << golden.name;
  }
}

TEST(Optimizer, TakesEmptyParametersAndScalars) {
  Variable empty(Tensor::zeros({0, 3}), true), scalar(Tensor::scalar(2), true);
  empty.grad() = Tensor::zeros({0, 3});
  scalar.grad() = Tensor::scalar(1);
  SGD({empty, scalar}, {.lr = 0.5}).step();
  EXPECT_EQ(scalar.item(), 1.5);
}

TEST(Optimizer, RefusesWhatPyTorchRefusesInItsWords) {
  const auto p = [] { return std::vector<Variable>{start(DType::kFloat32)}; };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = -1}); }), "Invalid learning rate: -1.0");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = -2.5e-7}); }), "Invalid learning rate: -2.5e-07");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = -123456789}); }), "Invalid learning rate: -123456789.0");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = -1e20}); }), "Invalid learning rate: -1e+20");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = 0.1, .momentum = -0.5}); }), "Invalid momentum value: -0.5");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = 0.1, .weight_decay = -0.5}); }), "Invalid weight_decay value: -0.5");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = 0.1, .nesterov = true}); }), "Nesterov momentum requires a momentum and zero dampening");
  EXPECT_EQ(reason([&] { SGD(p(), {.lr = 0.1, .momentum = 0.9, .dampening = 0.1, .nesterov = true}); }),
            "Nesterov momentum requires a momentum and zero dampening");
  EXPECT_EQ(reason([&] { Adam(p(), {.lr = nan}); }), "Invalid learning rate: nan");
  EXPECT_EQ(reason([&] { Adam(p(), {.eps = -1e-8}); }), "Invalid epsilon value: -1e-08");
  EXPECT_EQ(reason([&] { Adam(p(), {.beta1 = 1}); }), "Invalid beta parameter at index 0: 1.0");
  EXPECT_EQ(reason([&] { Adam(p(), {.beta2 = -1e-20}); }), "Invalid beta parameter at index 1: -1e-20");
  EXPECT_EQ(reason([&] { AdamW(p(), {.weight_decay = -1}); }), "Invalid weight_decay value: -1.0");
  EXPECT_EQ(reason([&] { SGD({}, {.lr = 0.1}); }), "optimizer got an empty parameter list");
  EXPECT_EQ(reason([&] { SGD({}, {.lr = -1}); }), "Invalid learning rate: -1.0");
  EXPECT_EQ(reason([&] { SGD({Variable()}, {.lr = 0.1}); }),
            "optimizer can only optimize Tensors, but one of the params is NoneType");
  const Variable leaf = start(DType::kFloat32);
  const Variable computed = record(leaf.data().clone(), {leaf}, [](const Tensor& g) -> std::vector<Tensor> { return {g}; });
  EXPECT_EQ(reason([&] { SGD({computed}, {.lr = 0.1}); }), "can't optimize a non-leaf Tensor");
  EXPECT_EQ(reason([&] { SGD({leaf, leaf}, {.lr = 0.1}); }), "optimizer contains a parameter group with duplicate parameters");
  EXPECT_THROW(SGD(p(), {.lr = -1}), ValueError);
}

TEST(Optimizer, ChangesNothingWhenAGradientDoesNotFit) {
  for (const Golden& golden : goldens()) {
    Variable good = start(DType::kFloat32), bad = start(DType::kFloat32);
    const auto optimizer = golden.make({good, bad});
    good.grad() = gradient(0, DType::kFloat32);
    bad.grad() = gradient(0, DType::kFloat64);
    EXPECT_EQ(reason([&] { optimizer->step(); }), "the gradient of parameter 1 is float64 [5], the parameter is float32 [5]");
    bad.grad() = Tensor::zeros({4});
    EXPECT_EQ(reason([&] { optimizer->step(); }), "the gradient of parameter 1 is float32 [4], the parameter is float32 [5]");
    EXPECT_TRUE(identical(good.data(), start(DType::kFloat32).data()));
    EXPECT_EQ(optimizer->state().size(), 1u);
  }
}

TEST(Optimizer, RefusesAStateThatDoesNotBelongToIt) {
  Variable parameter = start(DType::kFloat32);
  SGD momentum({parameter}, {.lr = 0.1, .momentum = 0.9});
  run(momentum, parameter, 0, 1);
  Adam other({parameter}, {.lr = 0.2});
  EXPECT_EQ(reason([&] { other.load_state(momentum.state()); }), "Unexpected key(s) in optimizer state: \"0.momentum_buffer\". ");
  EXPECT_EQ(other.lr(), 0.2);

  OptimizerState state = momentum.state();
  state.back().first = "7.momentum_buffer";
  EXPECT_EQ(reason([&] { momentum.load_state(state); }),
            "loaded state dict contains a parameter group that doesn't match the size of optimizer's group");
  state.back() = {"0.momentum_buffer", Tensor::zeros({4})};
  EXPECT_EQ(
      reason([&] { momentum.load_state(state); }),
      "size mismatch for 0.momentum_buffer: copying a buffer with shape torch.Size([4]) from checkpoint, the shape in current "
      "optimizer is torch.Size([5]).");
  run(other, parameter, 0, 1);
  OptimizerState half = other.state();
  half.pop_back();
  EXPECT_EQ(reason([&] { other.load_state(half); }), "Missing key(s) in optimizer state for parameter 0");
}

TEST(StepLR, FollowsPyTorch) {
  Variable parameter = start(DType::kFloat64);
  SGD optimizer({parameter}, {.lr = 0.1});
  StepLR schedule(optimizer, 3, 0.3);
  for (const double lr : {0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.009, 0.009, 0.009, 0.0026999999999999997, 0.0026999999999999997}) {
    EXPECT_EQ(optimizer.lr(), lr) << schedule.last_epoch();
    schedule.step();
  }
  schedule.set_epoch(4);
  EXPECT_EQ(optimizer.lr(), 0.03);
  schedule.set_epoch(int64_t{1} << 62);  // underflows to a fixed point, does not count there
  EXPECT_LT(optimizer.lr(), 1e-300);
}

TEST(CosineAnnealingLR, FollowsPyTorch) {
  Variable parameter = start(DType::kFloat64);
  SGD optimizer({parameter}, {.lr = 0.1});
  CosineAnnealingLR schedule(optimizer, 5, 0.001);
  for (const double lr :
       {0.1, 0.0905463412215599, 0.06579634122155989, 0.035203658778440096, 0.010453658778440105, 0.001, 0.010453658778440102,
        0.03520365877844012, 0.06579634122155993, 0.09054634122155995, 0.10000000000000005, 0.09054634122155998}) {
    EXPECT_NEAR(optimizer.lr(), lr, 1e-12 * lr) << schedule.last_epoch();
    schedule.step();
  }
}

TEST(Schedules, GoOnFromALoadedStateWhicheverIsBuiltFirst) {
  Variable parameter = start(DType::kFloat64);
  SGD optimizer({parameter}, {.lr = 0.1});
  StepLR schedule(optimizer, 1, 0.5);
  schedule.step();
  EXPECT_EQ(optimizer.lr(), 0.05);

  SGD resumed({parameter}, {.lr = 123});
  resumed.load_state(optimizer.state());
  EXPECT_EQ(resumed.lr(), 0.05);
  StepLR after(resumed, 1, 0.5);
  after.set_epoch(2);
  EXPECT_EQ(resumed.lr(), 0.025);
}

TEST(Schedules, RefuseNonsense) {
  SGD optimizer({start(DType::kFloat64)}, {.lr = 0.1});
  EXPECT_EQ(reason([&] { StepLR(optimizer, 0); }), "Expected positive integer step_size, but got 0");
  EXPECT_EQ(reason([&] { CosineAnnealingLR(optimizer, -3); }), "Expected positive integer T_max, but got -3");
  StepLR schedule(optimizer, 2);
  EXPECT_EQ(reason([&] { schedule.set_epoch(-1); }), "Expected non-negative epoch, but got -1");
}

}  // namespace
}  // namespace convoy::optim
