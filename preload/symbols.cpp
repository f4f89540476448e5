// SPDX-License-Identifier: MIT OR Apache-2.0
#include "symbols.hpp"

#include <elf.h>
#include <link.h>
#include <cstdint>
#include <string_view>

/// The linker's name for where this library begins.
extern "C" [[gnu::visibility("hidden")]] const char __ehdr_start[];

namespace duende::mlock::preload {

namespace {

/// Of DT_GNU_HASH.
std::uint32_t gnu_hash(const char* name) noexcept {
  std::uint32_t hash = 5381;
  for (; *name != 0; ++name) {
    hash = hash * 33 + static_cast<unsigned char>(*name);
  }
  return hash;
}

/// Of DT_HASH.
std::uint32_t old_hash(const char* name) noexcept {
  std::uint32_t hash = 0;
  for (; *name != 0; ++name) {
    hash = (hash << 4) + static_cast<unsigned char>(*name);
    hash = (hash ^ (hash >> 24 & 0xF0)) & 0x0FFFFFFF;
  }
  return hash;
}

/// The dynamic symbols of one loaded object, by its hash table.
class DynamicSymbols {
 public:
  explicit DynamicSymbols(const dl_phdr_info& object) noexcept : base_(object.dlpi_addr) {
    for (int i = 0; i < object.dlpi_phnum; ++i) {
      if (object.dlpi_phdr[i].p_type == PT_DYNAMIC) {
        read(reinterpret_cast<const ElfW(Dyn)*>(base_ + object.dlpi_phdr[i].p_vaddr));
      }
    }
  }

  /// `hash` is the GNU one: most objects have that table, and most searches end at its filter.
  [[nodiscard]] void* find(const char* name, std::uint32_t hash) const noexcept {
    if (symbols_ == nullptr || strings_ == nullptr) {
      return nullptr;
    }
    return gnu_ != nullptr ? find_gnu(name, hash) : find_old(name);
  }

 private:
  [[nodiscard]] void* find_gnu(const char* name, std::uint32_t wanted) const noexcept {
    // Header: buckets, first symbol, Bloom filter words (of a pointer's size), shift.
    constexpr unsigned kBits = 8 * sizeof(ElfW(Addr));
    const std::uint32_t bucket_count = gnu_[0];
    const std::uint32_t first = gnu_[1];
    if (bucket_count == 0) {
      return nullptr;
    }
    const auto* const filter = reinterpret_cast<const ElfW(Addr)*>(gnu_ + 4);
    const ElfW(Addr) word = filter[wanted / kBits & (gnu_[2] - 1)];
    if ((word >> wanted % kBits & word >> (wanted >> gnu_[3]) % kBits & 1) == 0) {
      return nullptr;
    }
    const auto* const buckets = reinterpret_cast<const std::uint32_t*>(filter + gnu_[2]);
    const std::uint32_t* const chains = buckets + bucket_count;
    std::uint32_t index = buckets[wanted % bucket_count];
    if (index < first) {
      return nullptr;
    }
    for (;; ++index) {
      const std::uint32_t hash = chains[index - first];
      if ((hash | 1) == (wanted | 1) && is(index, name)) {
        return address(index);
      }
      if ((hash & 1) != 0) {  // the last of its chain
        return nullptr;
      }
    }
  }

  /// What a linker with --hash-style=sysv makes, and all did before glibc 2.5.
  [[nodiscard]] void* find_old(const char* name) const noexcept {
    if (old_ == nullptr || old_[0] == 0) {
      return nullptr;
    }
    const Elf_Symndx* const buckets = old_ + 2;
    const Elf_Symndx* const chains = buckets + old_[0];
    for (Elf_Symndx index = buckets[old_hash(name) % old_[0]]; index != 0; index = chains[index]) {
      if (is(index, name)) {
        return address(index);
      }
    }
    return nullptr;
  }

  void read(const ElfW(Dyn) * entry) noexcept {
    for (; entry->d_tag != DT_NULL; ++entry) {
      switch (entry->d_tag) {
        case DT_GNU_HASH: gnu_ = at<std::uint32_t>(entry->d_un.d_ptr); break;
        case DT_HASH: old_ = at<Elf_Symndx>(entry->d_un.d_ptr); break;
        case DT_SYMTAB: symbols_ = at<ElfW(Sym)>(entry->d_un.d_ptr); break;
        case DT_STRTAB: strings_ = at<char>(entry->d_un.d_ptr); break;
        default: break;
      }
    }
  }

  /// glibc turns these entries into addresses when it loads an object, musl leaves offsets.
  template <class T>
  [[nodiscard]] const T* at(ElfW(Addr) value) const noexcept {
    return reinterpret_cast<const T*>(value < base_ ? base_ + value : value);
  }

  [[nodiscard]] bool is(std::size_t index, const char* name) const noexcept {
    const ElfW(Sym)& symbol = symbols_[index];
    return symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
           std::string_view(strings_ + symbol.st_name) == name;
  }

  [[nodiscard]] void* address(std::size_t index) const noexcept {
    return reinterpret_cast<void*>(base_ + symbols_[index].st_value);
  }

  ElfW(Addr) base_;
  const std::uint32_t* gnu_ = nullptr;
  const Elf_Symndx* old_ = nullptr;  // of 8 bytes on s390x
  const ElfW(Sym) * symbols_ = nullptr;
  const char* strings_ = nullptr;
};

struct Search {
  const char* names;
  std::span<void*> found;
  bool past_this_library;
  std::uint32_t hashes[kMostNames];
};

/// The name after this one.
const char* next(const char* name) noexcept { return name + std::string_view(name).size() + 1; }

int visit(dl_phdr_info* object, std::size_t, void* opaque) noexcept {
  auto& search = *static_cast<Search*>(opaque);
  if (!search.past_this_library) {
    search.past_this_library = object->dlpi_addr == reinterpret_cast<ElfW(Addr)>(__ehdr_start);
    return 0;
  }
  const DynamicSymbols symbols(*object);
  const char* name = search.names;
  bool complete = true;
  for (std::size_t i = 0; i < search.found.size(); ++i, name = next(name)) {
    if (search.found[i] == nullptr) {
      search.found[i] = symbols.find(name, search.hashes[i]);
      complete &= search.found[i] != nullptr;
    }
  }
  return complete ? 1 : 0;
}

}  // namespace

void find_names(const char* names, std::span<void*> found) noexcept {
  Search search;
  search.names = names;
  search.found = found;
  search.past_this_library = false;
  for (std::size_t i = 0; i < found.size(); ++i, names = next(names)) {
    search.hashes[i] = gnu_hash(names);
  }
  ::dl_iterate_phdr(visit, &search);
}

}  // namespace duende::mlock::preload
