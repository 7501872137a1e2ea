// A thread count that stays.
#pragma once

namespace convoy {

/// While it lives, num_threads() stays what it is on this thread, whatever set_num_threads says: scratch memory is made for so many
/// threads, and must last until it is given back. Inside another one it changes nothing.
class KeepNumThreads {
 public:
  KeepNumThreads();
  ~KeepNumThreads();
  KeepNumThreads(const KeepNumThreads&) = delete;
  KeepNumThreads& operator=(const KeepNumThreads&) = delete;

 private:
  int before_;
};

}  // namespace convoy
