// "Did you mean ...?", for commands and options.
#pragma once

#include "convoy/core/suggest.h"

namespace convoy::report {

using convoy::did_you_mean;
using convoy::edit_distance;
using convoy::suggestion;

}  // namespace convoy::report
