#include "convoy/io/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/temporary_folder.h"

namespace convoy::io {
namespace {

using testing::TemporaryFolder;

// Whether files without a name can be had there.
bool nameless_in(const TemporaryFolder& folder) {
#ifdef O_TMPFILE
  const int file = ::open(folder.path().c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (file >= 0) ::close(file);
  return file >= 0;
#else
  return false;
#endif
}

void save(const std::string& path, const std::string& text) {
  OutputFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

TEST(OutputFile, NothingIsLeftOfOneThatIsKilled) {
  const TemporaryFolder folder;
  if (!nameless_in(folder)) GTEST_SKIP() << "no O_TMPFILE in " << folder.path();
  for (const bool exists : {false, true}) {
    if (exists) folder.write("a", "before");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      OutputFile file(folder.path("a"));
      file.write("half", 4);
      ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(folder.count(), exists ? 1 : 0);
    EXPECT_EQ(folder.read("a"), exists ? "before" : "");
  }
}

TEST(OutputFile, AppearsAsAWhole) {
  const TemporaryFolder folder;
  {
    OutputFile file(folder.path("a"));
    file.write("lost", 4);
  }
  EXPECT_EQ(folder.count(), 0);
  const mode_t mask = ::umask(022);
  save(folder.path("a"), "one");
  ::umask(mask);
  EXPECT_EQ(folder.read("a"), "one");
  struct stat status {};
  ASSERT_EQ(::stat(folder.path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644U);
  ASSERT_EQ(::chmod(folder.path("a").c_str(), 0600), 0);
  save(folder.path("a"), "another");
  EXPECT_EQ(folder.read("a"), "another");
  ASSERT_EQ(::stat(folder.path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);

  OutputFile late(folder.path("b"));
  late.write("late", 4);
  folder.write("b", "first");  // meanwhile
  late.commit();
  EXPECT_EQ(folder.read("b"), "late");
  EXPECT_EQ(folder.count(), 2);
}

}  // namespace
}  // namespace convoy::io
