// Whether plans time the algorithms that could run a layer: one setting for the process, read when a plan is made.
#pragma once

namespace convoy {

/// Off (the default): a convolution's algorithm follows from its shape alone, so that results have the same bits wherever they are
/// computed (docs/adr/0002). On: the first plan of each shape runs the promising algorithms for some milliseconds each on this
/// machine and takes the fastest, as torch.backends.cudnn.benchmark does. Later plans of the process take the same; another run of
/// the program may not, and differ in the last bits.
///
/// What set_measured_plans said, else on if the environment variable CONVOY_MEASURED_PLANS is 1.
bool measured_plans();
void set_measured_plans(bool on);

}  // namespace convoy
