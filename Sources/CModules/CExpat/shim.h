// Expat, the XML parser.
#ifndef GRAFT_CEXPAT_SHIM_H
#define GRAFT_CEXPAT_SHIM_H

#include <expat.h>

// The line that the parser has come to. Newer versions have a wider function and call this one old.
static inline unsigned long graft_xml_line(XML_Parser parser) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return (unsigned long)XML_GetCurrentLineNumber(parser);
#pragma GCC diagnostic pop
}

#endif
