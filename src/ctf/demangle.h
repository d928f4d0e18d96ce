/* C++ and Rust names as they were written. */
#ifndef CTF_DEMANGLE_H
#define CTF_DEMANGLE_H

/*
 * "std::vector<int>::push_back(int&&)" for "_ZNSt6vectorIiE...", the caller's; NULL if name is
 * not mangled, or too long to be worth it.  Uses libiberty's demangler (its
 * licence lets it be linked into anything).
 */
char *demangle(const char *name);

#endif
