// The worked example of docs/howto/fold_a_network.md, compiled and run.
#include <convoy/convoy.h>
#include <gtest/gtest.h>

#include <iostream>
#include <memory>

using namespace convoy;

// [fold]
std::shared_ptr<nn::Module> folded(const std::shared_ptr<nn::Module>& network) {
  network->eval();  // in training mode the statistics are the batch's: fuse() refuses
  const nn::Fused fused = nn::fuse(network);
  for (const nn::KeptPlace& kept : fused.kept) {
    std::cerr << kept.name << ": " << kept.what << " stays, since " << kept.reason << "\n  " << kept.remedy << "\n";
  }
  const nn::Agreement agreement = nn::verify(*network, fused, {1, 28, 28}, 20);
  for (const nn::PlaceAgreement& place : agreement.places) {
    if (!place.agrees) std::cerr << place.name << ": " << place.cause << "\n  " << place.remedy << "\n";
  }
  return agreement.agrees ? fused.module : network;
}
// [/fold]

namespace {

TEST(FoldANetwork, TheBlocksBecomeConvolutions) {
  manual_seed(1);
  const std::shared_ptr<nn::Module> network = nn::make_model("acnet");
  const std::shared_ptr<nn::Module> one = folded(network);
  EXPECT_NE(one, network);
  EXPECT_EQ(one->children()[0].second->type(), "Conv2d");
}

}  // namespace
