// What Tensors hands on of System: files that appear complete, paths and the errors of both are in every signature.

@_exported public import struct GraftSystem.AtomicFile
@_exported public import struct GraftSystem.FileError
@_exported public import enum GraftSystem.PathBytes

extension FileError: Diagnostic {}
