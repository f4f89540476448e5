// SPDX-License-Identifier: MIT OR Apache-2.0
#include "symbols.hpp"

#include <elf.h>
#include <link.h>
#include <cstdint>

/// The linker's name for where this library begins.
extern "C" [[gnu::visibility("hidden")]] const char __ehdr_start[];

namespace duende::mlock::preload {

namespace {

/// The dynamic symbols of one loaded object, by its DT_GNU_HASH table.
class DynamicSymbols {
 public:
  explicit DynamicSymbols(const dl_phdr_info& object) noexcept : base_(object.dlpi_addr) {
    for (int i = 0; i < object.dlpi_phnum; ++i) {
      if (object.dlpi_phdr[i].p_type == PT_DYNAMIC) {
        read(reinterpret_cast<const ElfW(Dyn)*>(base_ + object.dlpi_phdr[i].p_vaddr));
      }
    }
  }

  [[nodiscard]] void* find(std::string_view name) const noexcept {
    if (hash_ == nullptr || symbols_ == nullptr || strings_ == nullptr || hash_[0] == 0) {
      return nullptr;
    }
    // Header: buckets, first symbol, Bloom filter words (of a pointer's size), shift.
    const std::uint32_t bucket_count = hash_[0];
    const std::uint32_t first = hash_[1];
    const std::uint32_t* const buckets = hash_ + 4 + hash_[2] * (sizeof(ElfW(Addr)) / 4);
    const std::uint32_t* const chains = buckets + bucket_count;
    const std::uint32_t wanted = gnu_hash(name);
    std::uint32_t index = buckets[wanted % bucket_count];
    if (index < first) {
      return nullptr;
    }
    for (;; ++index) {
      const std::uint32_t hash = chains[index - first];
      if ((hash | 1) == (wanted | 1) && is(symbols_[index], name)) {
        return reinterpret_cast<void*>(base_ + symbols_[index].st_value);
      }
      if ((hash & 1) != 0) {  // the last of its chain
        return nullptr;
      }
    }
  }

 private:
  void read(const ElfW(Dyn) * entry) noexcept {
    for (; entry->d_tag != DT_NULL; ++entry) {
      switch (entry->d_tag) {
        case DT_GNU_HASH: hash_ = at<std::uint32_t>(entry->d_un.d_ptr); break;
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

  static constexpr std::uint32_t gnu_hash(std::string_view name) noexcept {
    std::uint32_t hash = 5381;
    for (const char byte : name) {
      hash = hash * 33 + static_cast<unsigned char>(byte);
    }
    return hash;
  }

  [[nodiscard]] bool is(const ElfW(Sym) & symbol, std::string_view name) const noexcept {
    return symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
           strings_ + symbol.st_name == name;
  }

  ElfW(Addr) base_;
  const std::uint32_t* hash_ = nullptr;
  const ElfW(Sym) * symbols_ = nullptr;
  const char* strings_ = nullptr;
};

struct Search {
  std::string_view name;
  bool past_this_library;
  void* found;
};

int visit(dl_phdr_info* object, std::size_t, void* opaque) noexcept {
  auto& search = *static_cast<Search*>(opaque);
  if (!search.past_this_library) {
    search.past_this_library = object->dlpi_addr == reinterpret_cast<ElfW(Addr)>(__ehdr_start);
    return 0;
  }
  search.found = DynamicSymbols(*object).find(search.name);
  return search.found != nullptr ? 1 : 0;
}

}  // namespace

void* find_next(std::string_view name) noexcept {
  Search search = {name, false, nullptr};
  ::dl_iterate_phdr(visit, &search);
  return search.found;
}

}  // namespace duende::mlock::preload
