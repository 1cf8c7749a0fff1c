// libhdf5 made safe to call: identifiers that close themselves, errors that name the operation.

internal import CHDF5
import GraftTensors
internal import Synchronization

/// An open HDF5 identifier, closed when it is let go.
struct HDF5Handle: ~Copyable {
    let id: hid_t
    private let close: (hid_t) -> herr_t

    /// Takes ownership of `id`, which is negative if the call that made it failed.
    init(
        takingOwnership id: hid_t, _ operation: @autoclosure () -> String, _ source: Source,
        close: @escaping (hid_t) -> herr_t
    ) throws {
        guard id >= 0 else {
            graft_h5_clear_errors()
            throw source.malformed(.hdf5(.library(operation: operation())))
        }
        self.id = id
        self.close = close
    }

    deinit {
        // A failure here must not stay on the error stack: it would hang the end of the process.
        if close(id) < 0 { graft_h5_clear_errors() }
    }
}

/// What every use of libhdf5 shares.
enum HDF5 {
    /// How many files were opened by this process.
    static let opened = Atomic<Int>(0)
    static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    static func check(_ status: some BinaryInteger, _ operation: String, _ source: Source) throws {
        guard status >= 0 else {
            graft_h5_clear_errors()
            throw source.malformed(.hdf5(.library(operation: operation)))
        }
    }
}

/// An HDF5 file as bytes: groups, attributes of strings, and data sets of numbers.
struct HDF5File: ~Copyable {
    private let file: HDF5Handle
    /// The whole file, or the archive in which it lies at `base`.
    let storage: Storage
    let range: Range<Int>
    let source: Source

    /// Opens the HDF5 file that lies at `range` of `storage`.
    init(_ storage: Storage, _ range: Range<Int>, _ source: Source) throws {
        self.storage = storage
        self.range = range
        self.source = source
        graft_h5_silence()
        let access = try HDF5Handle(
            takingOwnership: graft_h5_file_access(), "prepare to open", source, close: H5Pclose)
        // libhdf5 wants a name that is not there; nothing is below a file. Each has its own: two
        // files in memory of one name would be one file to it.
        let number = HDF5.opened.add(1, ordering: .relaxed).newValue
        let path = "/dev/null/image-\(number)"
        // Read where it is mapped: libhdf5 opens no file, and copies none.
        let status = storage.withBytes { bytes in
            graft_h5_image(
                access.id, bytes.baseAddress?.advanced(by: range.lowerBound), range.count)
        }
        try HDF5.check(status, "use memory", source)
        let id = H5Fopen(path, 0 /* H5F_ACC_RDONLY */, access.id)
        file = try HDF5Handle(takingOwnership: id, "open it", source, close: H5Fclose)
    }

    /// Whether `path` names something that is in the file itself.
    func exists(_ path: String) -> Bool {
        guard (try? checkLinks(path)) != nil else { return false }
        return true
    }

    /// Walks the components of a path and refuses links that leave the file or its tree.
    private func checkLinks(_ path: String) throws {
        var prefix = ""
        for component in path.split(separator: "/") where component != "." {
            prefix += "/" + component
            var kind = H5L_TYPE_ERROR
            try HDF5.check(
                graft_h5_link_kind(file.id, prefix, &kind), "find `\(prefix)`", source)
            guard kind == H5L_TYPE_HARD else {
                throw source.unsupported(.link(String(prefix)))
            }
        }
    }

    private func object(_ path: String) throws -> HDF5Handle {
        try checkLinks(path)
        return try HDF5Handle(
            takingOwnership: H5Oopen(file.id, path.isEmpty ? "/" : path, graft_h5_default()),
            "open `\(path)`", source, close: H5Oclose)
    }

    /// Where an object lies in the file: the same under each of its names.
    func address(_ path: String) throws -> UInt64 {
        let object = try object(path)
        return UInt64(graft_h5_address(object.id))
    }

    /// Whether `path` is a group; a data set otherwise.
    func isGroup(_ path: String) throws -> Bool {
        let object = try object(path)
        return H5Iget_type(object.id) == H5I_GROUP
    }

    /// The names in a group, with `2` before `10`.
    func children(_ path: String) throws -> [String] {
        let group = try object(path)
        var info = H5G_info_t()
        try HDF5.check(H5Gget_info(group.id, &info), "list `\(path)`", source)
        guard info.nlinks <= UInt64(range.count) else {
            throw source.malformed(
                .hdf5(.memberCount(group: path, UInt64(clamping: info.nlinks))))
        }
        var names: [String] = []
        for index in 0..<info.nlinks {
            let count = H5Lget_name_by_idx(
                group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, graft_h5_default())
            try HDF5.check(count, "list `\(path)`", source)
            var buffer = [CChar](repeating: 0, count: count + 1)
            let written = H5Lget_name_by_idx(
                group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, &buffer, buffer.count,
                graft_h5_default())
            try HDF5.check(written, "list `\(path)`", source)
            names.append(
                String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return names.sorted { naturalKey($0) < naturalKey($1) }
    }

    private func naturalKey(_ name: String) -> (String, Int) {
        let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(String(digits.reversed())) else { return (name, -1) }
        return (String(name.dropLast(digits.count)), number)
    }

    /// The strings of an attribute, or nil if there is none. Any empty attribute is an empty list:
    /// Keras stores an empty list of names as no numbers.
    func strings(_ path: String, _ name: String) throws -> [String]? {
        let object = try object(path)
        let exists = H5Aexists(object.id, name)
        try HDF5.check(exists, "look for `\(name)`", source)
        guard exists > 0 else { return nil }
        let attribute = try HDF5Handle(
            takingOwnership: H5Aopen(object.id, name, graft_h5_default()), "open `\(name)`",
            source, close: H5Aclose)
        let space = try HDF5Handle(
            takingOwnership: H5Aget_space(attribute.id), "read `\(name)`", source, close: H5Sclose)
        let points = H5Sget_simple_extent_npoints(space.id)
        try HDF5.check(points, "read `\(name)`", source)
        guard points > 0 else { return [] }
        guard points <= range.count else {
            throw source.malformed(
                .hdf5(.stringCount(attribute: name, Int64(clamping: points))))
        }
        let type = try HDF5Handle(
            takingOwnership: H5Aget_type(attribute.id), "read `\(name)`", source, close: H5Tclose)
        guard H5Tget_class(type.id) == H5T_STRING else {
            throw source.malformed(.hdf5(.attributeNotText(name)))
        }
        let isVariable = H5Tis_variable_str(type.id)
        try HDF5.check(isVariable, "read `\(name)`", source)
        return isVariable > 0
            ? try variableStrings(attribute, type, space, Int(points), name)
            : try fixedStrings(attribute, type, Int(points), name)
    }

    private func fixedStrings(
        _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, _ count: Int,
        _ name: String
    ) throws -> [String] {
        let width = H5Tget_size(type.id)
        let (total, overflow) = width.multipliedReportingOverflow(by: count)
        guard width > 0, !overflow, total <= range.count else {
            throw source.malformed(.hdf5(.largeAttribute(name)))
        }
        var bytes = [UInt8](repeating: 0, count: total)
        let status = bytes.withUnsafeMutableBytes {
            H5Aread(attribute.id, type.id, $0.baseAddress)
        }
        try HDF5.check(status, "read `\(name)`", source)
        let isSpacePadded = H5Tget_strpad(type.id) == H5T_STR_SPACEPAD
        return (0..<count).map { index in
            var text = bytes[(index * width)..<((index + 1) * width)].prefix { $0 != 0 }
            while isSpacePadded, text.last == 0x20 { text.removeLast() }
            return String(decoding: text, as: UTF8.self)
        }
    }

    private func variableStrings(
        _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle,
        _ space: borrowing HDF5Handle, _ count: Int, _ name: String
    ) throws -> [String] {
        var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
        let status = pointers.withUnsafeMutableBytes {
            H5Aread(attribute.id, type.id, $0.baseAddress)
        }
        try HDF5.check(status, "read `\(name)`", source)
        let strings = pointers.map { pointer in
            pointer.map {
                String(cString: $0)
            } ?? ""
        }
        let reclaimed = pointers.withUnsafeMutableBytes {
            H5Dvlen_reclaim(type.id, space.id, graft_h5_default(), $0.baseAddress)
        }
        try HDF5.check(reclaimed, "release `\(name)`", source)
        return strings
    }

    /// What a data set of numbers is, and where it lies if it is dense and in native order.
    func dataset(_ path: String) throws -> HDF5Dataset {
        let dataset = try object(path)
        guard H5Iget_type(dataset.id) == H5I_DATASET else {
            throw source.malformed(.hdf5(.notDataset(path)))
        }
        let list = try HDF5Handle(
            takingOwnership: H5Dget_create_plist(dataset.id), "read `\(path)`", source,
            close: H5Pclose)
        let layout = H5Pget_layout(list.id)
        guard layout.rawValue >= 0, layout != H5D_VIRTUAL, H5Pget_external_count(list.id) == 0
        else { throw source.unsupported(.externalDataset(path)) }
        let shape = try shape(dataset, path)
        let type = try HDF5Handle(
            takingOwnership: H5Dget_type(dataset.id), "read `\(path)`", source, close: H5Tclose)
        let element = try element(type, dataset, path)
        let offset = H5Dget_offset(dataset.id)
        let inPlace =
            layout == H5D_CONTIGUOUS && element.isNative && offset != graft_h5_undefined()
            && H5Pget_nfilters(list.id) == 0
        graft_h5_clear_errors()
        return HDF5Dataset(
            path: path, dtype: element.dtype, shape: shape,
            offset: inPlace ? Int(clamping: offset) : nil,
            chunk: layout == H5D_CHUNKED ? try chunk(list, path) : nil)
    }

    /// The extents of a chunk.
    private func chunk(_ list: borrowing HDF5Handle, _ path: String) throws -> Shape {
        var extents = [hsize_t](repeating: 0, count: 32)
        let rank = H5Pget_chunk(list.id, 32, &extents)
        try HDF5.check(rank, "read `\(path)`", source)
        return Shape(extents.prefix(Int(rank)).map { Int(clamping: $0) })
    }

    private func shape(_ dataset: borrowing HDF5Handle, _ path: String) throws -> Shape {
        let space = try HDF5Handle(
            takingOwnership: H5Dget_space(dataset.id), "read `\(path)`", source, close: H5Sclose)
        if H5Sget_simple_extent_type(space.id) == H5S_NULL { return [0] }
        let rank = H5Sget_simple_extent_ndims(space.id)
        try HDF5.check(rank, "read `\(path)`", source)
        var extents = [hsize_t](repeating: 0, count: Int(rank))
        try HDF5.check(
            H5Sget_simple_extent_dims(space.id, &extents, nil), "read `\(path)`", source)
        return Shape(extents.map { Int(clamping: $0) })
    }

    /// The type of an element, and whether its bytes are as graft wants them.
    private func element(
        _ type: borrowing HDF5Handle, _ dataset: borrowing HDF5Handle, _ path: String
    ) throws -> (dtype: DType, isNative: Bool) {
        let size = H5Tget_size(type.id)
        let isLittle = size == 1 || H5Tget_order(type.id) == H5T_ORDER_LE
        switch H5Tget_class(type.id) {
        case H5T_FLOAT where size == 4: return (.f32, H5Tequal(type.id, graft_h5_type(8)) > 0)
        case H5T_FLOAT where size == 8: return (.f64, H5Tequal(type.id, graft_h5_type(9)) > 0)
        case H5T_FLOAT where size == 2 && H5Tget_ebias(type.id) == 15: return (.f16, isLittle)
        case H5T_FLOAT where size == 2 && H5Tget_ebias(type.id) == 127: return (.bf16, isLittle)
        case H5T_INTEGER:
            let isSigned = H5Tget_sign(type.id) == H5T_SGN_2
            switch size {
            case 1: return (isSigned ? .i8 : .u8, true)
            case 2: return (isSigned ? .i16 : .u16, isLittle)
            case 4: return (isSigned ? .i32 : .u32, isLittle)
            case 8: return (isSigned ? .i64 : .u64, isLittle)
            default: break
            }
        // h5py writes booleans as an enumeration of FALSE and TRUE.
        case H5T_ENUM where size == 1: return (.bool, true)
        // Keras writes bfloat16 as two opaque bytes and says so in an attribute.
        case H5T_OPAQUE where size == 2:
            if try strings(path, "dtype") == ["bfloat16"] { return (.bf16, true) }
        default: break
        }
        graft_h5_clear_errors()
        throw source.unsupported(.elementType(dataset: path))
    }

    /// Reads a data set through libhdf5, compressed, chunked or big-endian, and hands over one block
    /// of ``HDF5Blocks`` after the other.
    func read(_ wanted: HDF5Dataset, _ body: ([Range<Int>], UnsafeRawBufferPointer) throws -> Void)
        throws
    {
        let (path, dtype, shape) = (wanted.path, wanted.dtype, wanted.shape)
        let dataset = try openDataset(wanted)
        guard try self.shape(dataset, path) == shape else {
            throw source.malformed(.hdf5(.changed(path)))
        }
        let type = try HDF5Handle(
            takingOwnership: H5Dget_type(dataset.id), "read `\(path)`", source, close: H5Tclose)
        guard try element(type, dataset, path).dtype == dtype else {
            throw source.malformed(.hdf5(.changed(path)))
        }
        // Half floats are no type of libhdf5's own: the file's, in our order.
        let ordered = try HDF5Handle(
            takingOwnership: H5Tcopy(type.id), "read `\(path)`", source, close: H5Tclose)
        if dtype == .f16 || dtype == .bf16, H5Tget_class(type.id) == H5T_FLOAT {
            try HDF5.check(H5Tset_order(ordered.id, H5T_ORDER_LE), "read `\(path)`", source)
        }
        let memory: hid_t =
            switch dtype {
            case .i8: graft_h5_type(0)
            case .u8: graft_h5_type(1)
            case .i16: graft_h5_type(2)
            case .u16: graft_h5_type(3)
            case .i32: graft_h5_type(4)
            case .u32: graft_h5_type(5)
            case .i64: graft_h5_type(6)
            case .u64: graft_h5_type(7)
            case .f32: graft_h5_type(8)
            case .f64: graft_h5_type(9)
            default: ordered.id
            }
        try checkChunks(dataset, path, byteCount: dtype.byteCount)
        let byteCount = wanted.byteCount
        guard byteCount > 0 else { return }
        let buffer = Spool.buffer(byteCount)
        defer { buffer.deallocate() }
        for block in HDF5Blocks(wanted) {
            let count = wanted.byteCount(block)
            if count == byteCount {
                let status = H5Dread(
                    dataset.id, memory, graft_h5_all(), graft_h5_all(), graft_h5_default(),
                    buffer.baseAddress)
                try HDF5.check(status, "read `\(path)`", source)
            } else {
                try read(block, of: dataset, as: memory, into: buffer, path)
            }
            try body(block, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            // What was decoded from the mapped file is not needed again.
            storage.forget(range)
        }
    }

    private func read(
        _ block: [Range<Int>], of dataset: borrowing HDF5Handle, as type: hid_t,
        into buffer: UnsafeMutableRawBufferPointer, _ path: String
    ) throws {
        let file = try HDF5Handle(
            takingOwnership: H5Dget_space(dataset.id), "read `\(path)`", source, close: H5Sclose)
        let extents = block.map { hsize_t($0.count) }
        try HDF5.check(
            H5Sselect_hyperslab(
                file.id, H5S_SELECT_SET, block.map { hsize_t($0.lowerBound) }, nil, extents, nil),
            "read `\(path)`", source)
        let memory = try HDF5Handle(
            takingOwnership: H5Screate_simple(Int32(extents.count), extents, nil),
            "read `\(path)`", source, close: H5Sclose)
        try HDF5.check(
            H5Dread(dataset.id, type, memory.id, file.id, graft_h5_default(), buffer.baseAddress),
            "read `\(path)`", source)
    }

    /// A chunk that is cut into several blocks stays decoded until the last of them.
    private func openDataset(_ wanted: HDF5Dataset) throws -> HDF5Handle {
        try checkLinks(wanted.path)
        let chunk = wanted.chunk?.checkedByteCount(wanted.dtype) ?? 0
        let access = try HDF5Handle(
            takingOwnership: graft_h5_dataset_access(chunk > Spool.threshold ? chunk : 0),
            "open `\(wanted.path)`", source, close: H5Pclose)
        return try HDF5Handle(
            takingOwnership: H5Dopen2(file.id, wanted.path, access.id), "open `\(wanted.path)`",
            source, close: H5Dclose)
    }

    /// The numbers of a data set, decoded in this process.
    func load(_ wanted: HDF5Dataset) throws -> Tensor {
        let spool = try Spool(byteCount: wanted.byteCount)
        try read(wanted) { block, bytes in
            try spool.put(
                bytes, block: block, of: wanted.shape, width: wanted.dtype.byteCount)
        }
        return Tensor(wanted.dtype, wanted.shape, storage: try spool.finish())
    }

    /// libhdf5 1.10 trusts that a stored chunk is as large as its shape says, and reads past it if
    /// it is not: when a damaged mask skips the decompression, or when nothing is compressed.
    private func checkChunks(_ dataset: borrowing HDF5Handle, _ path: String, byteCount: Int) throws
    {
        let list = try HDF5Handle(
            takingOwnership: H5Dget_create_plist(dataset.id), "read `\(path)`", source,
            close: H5Pclose)
        guard H5Pget_layout(list.id) == H5D_CHUNKED else { return }
        let chunk = try chunk(list, path)
        let space = try HDF5Handle(
            takingOwnership: H5Dget_space(dataset.id), "read `\(path)`", source, close: H5Sclose)
        var count: hsize_t = 0
        try HDF5.check(
            H5Dget_num_chunks(dataset.id, space.id, &count), "read `\(path)`", source)
        let filters = H5Pget_nfilters(list.id)
        guard
            let chunkCount = chunk.checkedCount, chunkCount <= 1 << 30, count <= range.count
        else { throw source.malformed(.hdf5(.chunks(path))) }
        for index in 0..<count {
            var mask: UInt32 = 0
            var address: haddr_t = 0
            var size: hsize_t = 0
            var offset = [hsize_t](repeating: 0, count: 33)
            try HDF5.check(
                H5Dget_chunk_info(
                    dataset.id, space.id, index, &offset, &mask, &address, &size),
                "read `\(path)`", source)
            guard mask == 0, filters > 0 || size == UInt64(chunkCount * byteCount) else {
                throw source.malformed(.hdf5(.chunkSize(path)))
            }
        }
    }
}
