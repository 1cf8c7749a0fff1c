// Writes HDF5: libhdf5 lays out the structure, the numbers are put in place afterwards.

internal import CHDF5
import GraftSystem
import GraftTensors
import OrderedCollections

/// A group under way: attributes of text, groups and data sets.
struct HDF5Group {
    enum Text {
        case one(String)
        /// Split over `name0`, `name1`… when it is too long for one attribute, as Keras does.
        case list([String])
    }
    var attributes: OrderedDictionary<String, Text> = [:]
    var groups: OrderedDictionary<String, HDF5Group> = [:]
    var datasets: OrderedDictionary<String, LazyTensor> = [:]

    /// Adds what another group holds; where both hold something of one name, the other's stays.
    mutating func merge(_ other: HDF5Group) {
        attributes.merge(other.attributes) { $1 }
        datasets.merge(other.datasets) { $1 }
        for (name, group) in other.groups { groups[name, default: HDF5Group()].merge(group) }
    }

    /// The group at a path below this one, made where it is missing.
    subscript(path: [String]) -> HDF5Group {
        get { path.first.map { (groups[$0] ?? HDF5Group())[Array(path.dropFirst())] } ?? self }
        set {
            guard let first = path.first else { return self = newValue }
            groups[first, default: HDF5Group()][Array(path.dropFirst())] = newValue
        }
    }
}

/// Writes a tree of groups as contiguous, uncompressed data sets in the oldest format version.
struct HDF5Writer: ~Copyable {
    private let source: Source
    private let file: HDF5Handle
    private var places: [PlacedTensor] = []

    /// Fills an empty file with `root`. The file is not committed.
    static func write(_ root: HDF5Group, to file: borrowing AtomicFile) throws {
        try file.write(structure(root, file))
    }

    private static func structure(_ root: HDF5Group, _ file: borrowing AtomicFile) throws
        -> [PlacedTensor]
    {
        var writer = try HDF5Writer(file)
        let top = try HDF5Handle(
            takingOwnership: H5Oopen(writer.file.id, "/", graft_h5_default()), "open `/`",
            writer.source, close: H5Oclose)
        try writer.fill(top, root, "")
        return writer.places
    }

    private init(_ file: borrowing AtomicFile) throws {
        source = Source(path: file.path, format: "HDF5")
        graft_h5_silence()
        self.file = try HDF5Handle(
            takingOwnership: H5Fcreate(
                "/proc/self/fd/\(file.descriptor)", 2 /* H5F_ACC_TRUNC */, graft_h5_default(),
                graft_h5_default()),
            "create it", source, close: H5Fclose)
    }

    private mutating func fill(_ place: borrowing HDF5Handle, _ group: HDF5Group, _ path: String)
        throws
    {
        for (name, text) in group.attributes {
            switch text {
            case .one(let text): try attribute(place, name, text)
            case .list(let texts): try attribute(place, name, texts)
            }
        }
        for (name, tensor) in group.datasets { try dataset(place, name, tensor, path) }
        for (name, child) in group.groups {
            let handle = try HDF5Handle(
                takingOwnership: H5Gcreate2(
                    place.id, name, graft_h5_default(), graft_h5_default(), graft_h5_default()),
                "make the group `\(path)/\(name)`", source, close: H5Gclose)
            try fill(handle, child, path + "/" + name)
        }
    }

    private func attribute(_ place: borrowing HDF5Handle, _ name: String, _ text: String) throws {
        let type = try HDF5Handle(
            takingOwnership: H5Tcopy(graft_h5_type(10)), "make text", source, close: H5Tclose)
        // Variable length: a configuration may be longer than an attribute of fixed length.
        try HDF5.check(H5Tset_size(type.id, graft_h5_variable()), "make text", source)
        try HDF5.check(H5Tset_cset(type.id, H5T_CSET_UTF8), "make text", source)
        let space = try HDF5Handle(
            takingOwnership: H5Screate(H5S_SCALAR), "make text", source, close: H5Sclose)
        let attribute = try create(place, name, type, space)
        let status = text.withCString { pointer in
            withUnsafePointer(to: pointer) { H5Awrite(attribute.id, type.id, $0) }
        }
        try HDF5.check(status, "write `\(name)`", source)
    }

    private func attribute(_ place: borrowing HDF5Handle, _ name: String, _ texts: [String]) throws
    {
        let width = texts.map(\.utf8.count).max() ?? 0
        let limit = max(1, 64512 / max(width, 1))
        guard texts.count > limit else { return try strings(place, name, texts, width) }
        for (index, start) in stride(from: 0, to: texts.count, by: limit).enumerated() {
            let part = Array(texts[start..<min(start + limit, texts.count)])
            try strings(place, "\(name)\(index)", part, width)
        }
    }

    private func strings(
        _ place: borrowing HDF5Handle, _ name: String, _ texts: [String], _ width: Int
    ) throws {
        // An empty list is what NumPy makes of one: no numbers.
        let type = try HDF5Handle(
            takingOwnership: H5Tcopy(graft_h5_type(texts.isEmpty ? 9 : 10)), "make text", source,
            close: H5Tclose)
        if !texts.isEmpty {
            try HDF5.check(H5Tset_size(type.id, max(width, 1)), "make text", source)
            try HDF5.check(H5Tset_strpad(type.id, H5T_STR_NULLPAD), "make text", source)
        }
        var count = hsize_t(texts.count)
        let space = try HDF5Handle(
            takingOwnership: H5Screate_simple(1, &count, nil), "make text", source, close: H5Sclose)
        let attribute = try create(place, name, type, space)
        guard !texts.isEmpty else { return }
        var bytes: [UInt8] = []
        for text in texts {
            let padding = max(width, 1) - text.utf8.count
            bytes += Array(text.utf8) + [UInt8](repeating: 0, count: padding)
        }
        try HDF5.check(H5Awrite(attribute.id, type.id, bytes), "write `\(name)`", source)
    }

    private func create(
        _ place: borrowing HDF5Handle, _ name: String, _ type: borrowing HDF5Handle,
        _ space: borrowing HDF5Handle
    ) throws -> HDF5Handle {
        try HDF5Handle(
            takingOwnership: H5Acreate2(
                place.id, name, type.id, space.id, graft_h5_default(), graft_h5_default()),
            "write the attribute `\(name)`", source, close: H5Aclose)
    }

    private mutating func dataset(
        _ place: borrowing HDF5Handle, _ name: String, _ tensor: LazyTensor, _ path: String
    ) throws {
        let full = path + "/" + name
        let type = try type(of: tensor.dtype, full)
        let extents = tensor.shape.dimensions.map { hsize_t($0) }
        let space = try HDF5Handle(
            takingOwnership: extents.isEmpty
                ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(extents.count), extents, nil),
            "make `\(full)`", source, close: H5Sclose)
        // The space is there at once and stays unwritten: its place can be asked for, and filled.
        let list = try HDF5Handle(
            takingOwnership: graft_h5_creation(0), "make `\(full)`", source, close: H5Pclose)
        try HDF5.check(H5Pset_alloc_time(list.id, H5D_ALLOC_TIME_EARLY), "make `\(full)`", source)
        try HDF5.check(H5Pset_fill_time(list.id, H5D_FILL_TIME_NEVER), "make `\(full)`", source)
        // A name may hold slashes: `conv/kernel:0` is a data set in a group.
        let links = try HDF5Handle(
            takingOwnership: graft_h5_creation(1), "make `\(full)`", source, close: H5Pclose)
        try HDF5.check(H5Pset_create_intermediate_group(links.id, 1), "make `\(full)`", source)
        let dataset = try HDF5Handle(
            takingOwnership: H5Dcreate2(
                place.id, name, type.id, space.id, links.id, list.id, graft_h5_default()),
            "make the data set `\(full)`", source, close: H5Dclose)
        if tensor.dtype == .bf16 { try attribute(dataset, "dtype", "bfloat16") }
        guard tensor.byteCount > 0 else { return }
        let offset = H5Dget_offset(dataset.id)
        guard offset != graft_h5_undefined() else {
            throw source.malformed(.hdf5(.noPlace(full)))
        }
        places.append(PlacedTensor(full, tensor, at: Int(clamping: offset)))
    }

    private func type(of dtype: DType, _ name: String) throws -> HDF5Handle {
        func copy(_ kind: Int32) throws -> HDF5Handle {
            try HDF5Handle(
                takingOwnership: H5Tcopy(graft_h5_type(kind)), "make a type", source,
                close: H5Tclose)
        }
        switch dtype {
        case .i8: return try copy(0)
        case .u8: return try copy(1)
        case .i16: return try copy(2)
        case .u16: return try copy(3)
        case .i32: return try copy(4)
        case .u32: return try copy(5)
        case .i64: return try copy(6)
        case .u64: return try copy(7)
        case .f32: return try copy(8)
        case .f64: return try copy(9)
        case .f16:
            let type = try copy(8)
            try HDF5.check(H5Tset_fields(type.id, 15, 10, 5, 0, 10), "make a type", source)
            try HDF5.check(H5Tset_size(type.id, 2), "make a type", source)
            try HDF5.check(H5Tset_ebias(type.id, 15), "make a type", source)
            return type
        case .bf16:
            return try HDF5Handle(
                takingOwnership: H5Tcreate(H5T_OPAQUE, 2), "make a type", source, close: H5Tclose)
        case .bool:
            // h5py's enumeration.
            let type = try HDF5Handle(
                takingOwnership: H5Tenum_create(graft_h5_type(0)), "make a type", source,
                close: H5Tclose)
            for (word, value) in [("FALSE", Int8(0)), ("TRUE", 1)] {
                var value = value
                try HDF5.check(H5Tenum_insert(type.id, word, &value), "make a type", source)
            }
            return type
        case .c64, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz:
            throw FormatError.unwritable(path: source.path, .hdf5Type(tensor: name, dtype))
        }
    }
}
