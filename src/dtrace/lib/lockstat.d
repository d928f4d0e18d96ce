/* How a lock for readers and writers was asked for, as the lockstat provider tells it. */
#pragma D attributes Evolving/Evolving/Common

inline int RW_WRITER = 0;
inline int RW_READER = 1;
