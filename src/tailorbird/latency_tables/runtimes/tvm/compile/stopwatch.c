/* What runs beside compiled programs in the process that is timed: on boards no Python of ours is.
 *
 * Functions as TVM exports them, so that a client can call them through RPC.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlpack/dlpack.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <tvm/ffi/c_api.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"))) int
#define ARGUMENTS void *self, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result
#define MOST_PLACEMENTS 64
#define MOST_BYTES 16384
#define ALIGNMENT 64 /* of TVM's tensors */

typedef struct {
  int64_t n;
  TVMFFIObjectHandle *calls;
} Placement;

static Placement placements[MOST_PLACEMENTS];
static int64_t n_placements;

static TVMFFIAny *weights; /* copy after copy */
static int64_t n_copies, n_weights;

/* Cores of the process, before TVM's thread pool pins the thread that calls. */
static cpu_set_t allowed;
static int n_allowed;

__attribute__((constructor)) static void remember(void) {
  if (!sched_getaffinity(0, sizeof allowed, &allowed)) n_allowed = CPU_COUNT(&allowed);
}

static int refuse(const char *why) {
  TVMFFIErrorSetRaisedFromCStr("RuntimeError", why);
  return -1;
}

static void number(int64_t value, TVMFFIAny *result) {
  result->type_index = kTVMFFIInt;
  result->v_int64 = value;
}

static size_t append(char *text, size_t size, const char *path) {
  FILE *file = fopen(path, "r");
  if (file) {
    size += fread(text + size, 1, MOST_BYTES - size, file);
    fclose(file);
  }
  return size;
}

/* A file of one line; device trees end theirs in a zero. */
static size_t append_line(char *text, size_t size, const char *path) {
  size_t end = append(text, size, path);
  while (end > size && (text[end - 1] == '\n' || !text[end - 1])) --end;
  text[end] = '\n';
  return end + 1;
}

/* The line of this process's map that names a library of TVM, cut after its package's folder. */
static int find_package(char *path, size_t most) {
  FILE *maps = fopen("/proc/self/maps", "r");
  int found = 0;
  if (!maps) return 0;
  while (!found && fgets(path, most, maps)) {
    char *start = strchr(path, '/'), *end = strstr(path, "/lib/libtvm_runtime");
    if (!start || !end) continue;
    *end = 0;
    memmove(path, start, strlen(start) + 1);
    found = 1;
  }
  fclose(maps);
  return found;
}

/* Version of TVM, if it came as a Python package: no function of its runtime tells. */
static size_t append_version(char *text, size_t size) {
  static const char before[] = "version = '";
  char path[4096 + 32];
  size_t end = size;
  if (find_package(path, 4096)) end = append(text, size, strcat(path, "/_version.py"));
  text[end] = 0;
  char *start = strstr(text + size, before);
  char *stop = start ? strchr(start + sizeof before - 1, '\'') : NULL;
  size_t length = stop ? (size_t)(stop - start) - (sizeof before - 1) : 0;
  if (length) memmove(text + size, start + sizeof before - 1, length);
  text[size + length] = '\n';
  return size + length + 1;
}

/* () -> architecture, cores, boot, model of the board, version of TVM, and what /proc/cpuinfo says;
 * a line each. */
EXPORT __tvm_ffi_facts(ARGUMENTS) {
  static char text[2 * MOST_BYTES];
  struct utsname name;
  if (uname(&name)) return refuse(strerror(errno));
  size_t size = snprintf(text, MOST_BYTES, "%s\n%d\n", name.machine, n_allowed);
  size = append_line(text, size, "/proc/sys/kernel/random/boot_id");
  size = append_line(text, size, "/proc/device-tree/model");
  size = append_version(text, size);
  size = append(text, size, "/proc/cpuinfo");
  TVMFFIByteArray bytes = {text, size};
  return TVMFFIStringFromByteArray(&bytes, result);
}

static int last_first(const void *left, const void *right) {
  return *(const int *)right - *(const int *)left;
}

static int put(int thread, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return sched_setaffinity(thread, sizeof set, &set);
}

/* (threads) -> 0: a core for each thread that shares work, the last ones that there are.
 *
 * Threads that were started last are the ones that share; others only wait. */
EXPORT __tvm_ffi_pin(ARGUMENTS) {
  static int cores[CPU_SETSIZE];
  int n_cores = 0, n_others = 0, others[1024];
  int64_t wanted = args[0].v_int64;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) cores[n_cores++] = core;
  if (wanted < 1 || wanted > n_cores) return refuse("it has fewer cores than threads are asked for");
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return refuse(strerror(errno));
  for (struct dirent *entry; (entry = readdir(tasks)) && n_others < 1024;)
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid())
      others[n_others++] = atoi(entry->d_name);
  closedir(tasks);
  qsort(others, n_others, sizeof *others, last_first);
  int *first = cores + n_cores - wanted;
  for (int i = 1; i < wanted && i <= n_others; ++i)
    if (put(others[i - 1], first[i])) return refuse(strerror(errno));
  if (put(0, first[0])) return refuse(strerror(errno));
  number(0, result);
  return 0;
}

static void release(DLManagedTensor *tensor) {
  free(tensor->dl_tensor.data);
  free(tensor);
}

/* A tensor of this process with what another one holds, which may be a client's. TVM's machine
 * copies those of clients as well, but each to pages of its own, where small ones are colder than
 * they are in a network. */
static int copy_tensor(const TVMFFIAny *given, TVMFFIAny *copy) {
  const DLTensor *from = NULL;
  if (given->type_index == kTVMFFIDLTensorPtr) from = given->v_ptr;
  if (given->type_index == kTVMFFITensor) from = (DLTensor *)((TVMFFIObject *)given->v_obj + 1);
  if (!from) return refuse("inputs and weights must be tensors");
  DLManagedTensor *made = calloc(1, sizeof *made + 2 * from->ndim * sizeof(int64_t));
  if (!made) return refuse("there is no memory for a tensor");
  DLTensor *to = &made->dl_tensor;
  *to = *from;
  to->byte_offset = 0;
  to->shape = (int64_t *)(made + 1);
  to->strides = to->shape + to->ndim;
  to->data = NULL;
  made->deleter = release;
  size_t size = 1;
  int is_compact = 1;
  for (int i = to->ndim; i-- > 0; size *= to->shape[i]) {
    to->shape[i] = from->shape[i];
    to->strides[i] = size;
    is_compact &= !from->strides || from->shape[i] < 2 || from->strides[i] == to->strides[i];
  }
  if (!is_compact) {
    release(made);
    return refuse("tensors must be compact");
  }
  size = size * ((to->dtype.bits * to->dtype.lanes + 7) / 8);
  if (posix_memalign(&to->data, ALIGNMENT, size + !size)) {
    release(made);
    return refuse("there is no memory for a tensor");
  }
  memcpy(to->data, (char *)from->data + from->byte_offset, size);
  TVMFFIObjectHandle tensor = NULL;
  if (TVMFFITensorFromDLPack(made, ALIGNMENT, 1, &tensor)) {
    release(made);
    return -1;
  }
  copy->type_index = kTVMFFITensor;
  copy->v_obj = tensor;
  return 0;
}

/* Copies of so many tensors; none if one of them fails. */
static int copy_tensors(const TVMFFIAny *given, int64_t n, TVMFFIAny *copies) {
  for (int64_t i = 0; i < n; ++i)
    if (copy_tensor(&given[i], &copies[i])) {
      while (i) TVMFFIObjectDecRef(copies[--i].v_obj);
      return -1;
    }
  return 0;
}

static void empty(Placement *placement) {
  while (placement->n) TVMFFIObjectDecRef(placement->calls[--placement->n]);
  free(placement->calls);
}

/* () -> 0: neither placements nor weights are held any more. */
EXPORT __tvm_ffi_forget(ARGUMENTS) {
  while (n_placements) empty(&placements[--n_placements]);
  for (int64_t i = 0; i < n_copies * n_weights; ++i) TVMFFIObjectDecRef(weights[i].v_obj);
  free(weights);
  weights = NULL;
  n_copies = n_weights = 0;
  number(0, result);
  return 0;
}

/* (n, weights ...) -> 0: holds so many copies of them, and forgets what it held and placed. */
EXPORT __tvm_ffi_hold(ARGUMENTS) {
  if (n_args < 1 || args[0].v_int64 < 1) return refuse("a program needs a copy of its weights");
  int64_t n = args[0].v_int64, n_each = n_args - 1;
  __tvm_ffi_forget(self, NULL, 0, result);
  weights = calloc(n * n_each + 1, sizeof *weights);
  if (!weights) return refuse("there is no memory for weights");
  for (n_weights = n_each; n_copies < n; ++n_copies)
    if (copy_tensors(args + 1, n_weights, weights + n_copies * n_weights)) return -1;
  number(0, result);
  return 0;
}

/* A function of a machine. */
static int find_function(TVMFFIAny machine, const char *name, TVMFFIAny *found) {
  static const char get_name[] = "ffi.ModuleGetFunction";
  TVMFFIByteArray bytes = {get_name, sizeof get_name - 1};
  TVMFFIObjectHandle get = NULL;
  TVMFFIAny given[3] = {machine, {0}, {0}};
  given[1].type_index = kTVMFFIRawStr;
  given[1].v_c_str = name;
  given[2].type_index = kTVMFFIBool;
  if (TVMFFIFunctionGetGlobal(&bytes, &get)) return -1;
  int failed = TVMFFIFunctionCall(get, given, 3, found);
  TVMFFIObjectDecRef(get);
  if (failed) return -1;
  return found->type_index == kTVMFFIFunction ? 0 : refuse("the machine lacks a function");
}

/* Closures of a machine's `main`, one for each copy of the weights; `given` are its arguments from
 * the fourth on, and has room for all. */
static int place_copies(TVMFFIAny machine, TVMFFIAny save, TVMFFIAny *given, int64_t n_inputs,
                        Placement *placement) {
  char name[32];
  given[0].type_index = given[1].type_index = kTVMFFIRawStr;
  given[0].v_c_str = "main";
  given[1].v_c_str = name;
  given[2].type_index = kTVMFFIInt;
  given[2].v_int64 = 1; /* with its outputs */
  for (; placement->n < n_copies; ++placement->n) {
    TVMFFIAny nothing = {0}, call = {0};
    snprintf(name, sizeof name, "copy_%lld", (long long)placement->n);
    memcpy(given + 3 + n_inputs, weights + placement->n * n_weights, n_weights * sizeof *given);
    if (TVMFFIFunctionCall(save.v_obj, given, 3 + n_inputs + n_weights, &nothing)) return -1;
    if (find_function(machine, name, &call)) return -1;
    placement->calls[placement->n] = call.v_obj;
  }
  return 0;
}

/* (machine, inputs ...) -> number of a placement: of inputs and workspace, beside the weights. */
EXPORT __tvm_ffi_place(ARGUMENTS) {
  int64_t n_inputs = n_args - 1;
  TVMFFIAny save = {0};
  if (n_args < 1) return refuse("a placement needs a machine");
  if (n_placements == MOST_PLACEMENTS) return refuse("there are too many placements");
  if (!n_copies) return refuse("a placement needs weights, be it none of them");
  if (find_function(args[0], "save_function", &save)) return -1;
  TVMFFIAny *given = calloc(3 + n_inputs + n_weights, sizeof *given);
  Placement *placement = &placements[n_placements];
  placement->n = 0;
  placement->calls = calloc(n_copies, sizeof *placement->calls);
  int failed = !given || !placement->calls;
  if (failed) {
    refuse("there is no memory for calls");
  } else if (!(failed = copy_tensors(args + 1, n_inputs, given + 3))) {
    failed = place_copies(args[0], save, given, n_inputs, placement);
    for (int64_t i = 0; i < n_inputs; ++i) TVMFFIObjectDecRef(given[3 + i].v_obj);
  }
  free(given);
  TVMFFIObjectDecRef(save.v_obj);
  if (failed) {
    empty(placement);
    return -1;
  }
  number(n_placements++, result);
  return 0;
}

/* (placement, first, n calls, n turns) -> nanoseconds of calls in a row, one copy after another. */
EXPORT __tvm_ffi_turn(ARGUMENTS) {
  int64_t which = args[0].v_int64, first = args[1].v_int64;
  int64_t n_calls = args[2].v_int64, n_turns = args[3].v_int64;
  if (which < 0 || which >= n_placements || first < 0 || n_turns < 1 ||
      n_turns > placements[which].n)
    return refuse("there is no such placement, or copy");
  TVMFFIObjectHandle *calls = placements[which].calls;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int64_t i = 0; i < n_calls; ++i) {
    TVMFFIAny output = {0};
    if (TVMFFIFunctionCall(calls[(first + i) % n_turns], NULL, 0, &output)) return -1;
    if (output.type_index >= kTVMFFIStaticObjectBegin) TVMFFIObjectDecRef(output.v_obj);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  number((end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec, result);
  return 0;
}
