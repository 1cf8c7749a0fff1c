// swift-tools-version: 6.2
// The dependency table of graft: every module, what it may import, and the C library it alone owns.
import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    // A newer system may call a C function old that still works.
    .treatWarning("DeprecatedDeclaration", as: .warning),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// A module of graft: `name` in `Sources/<folder>`, seen by importers as `Graft<folder>`.
func module(
    _ folder: String, path: String? = nil, _ dependencies: [Target.Dependency],
    resources: [Resource]? = nil
)
    -> Target
{
    .target(
        name: "Graft" + folder, dependencies: dependencies, path: path ?? "Sources/" + folder,
        exclude: ["README.md"] + (["Registry", "Schemas"].contains(folder) ? ["generate.py"] : []),
        resources: resources, swiftSettings: strict)
}

/// A C library of the system, wrapped by a module map and a header and nothing else.
func library(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/CModules/" + name, pkgConfig: pkgConfig, providers: [.apt([apt])]
    )
}

func tests(_ folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: folder + "Tests", dependencies: dependencies, path: "Tests/\(folder)Tests",
        swiftSettings: strict)
}

let collections = Target.Dependency.product(
    name: "OrderedCollections", package: "swift-collections")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "graft",
    products: [
        // One product; a program imports the front door `Graft`, and the rooms that it wants to enter.
        .library(
            name: "Graft",
            targets: [
                "Graft", "GraftTraining", "GraftExecution", "GraftArchitectures", "GraftNetworks",
                "GraftImages", "GraftFormats", "GraftHub", "GraftCache", "GraftRegistry",
                "GraftTensors", "GraftSystem",
            ]),
        // The server and the mirror, which `Graft` does without.
        .library(name: "GraftServer", targets: ["GraftServer", "GraftMirror"]),
        .executable(name: "graft", targets: ["GraftCLI"]),
        .executable(name: "graft-bench", targets: ["GraftBench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.10.0"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        library("CCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
        library("CHDF5", pkgConfig: "hdf5", apt: "libhdf5-dev"),
        library("CArchive", pkgConfig: "libarchive", apt: "libarchive-dev"),
        library("CExpat", pkgConfig: "expat", apt: "libexpat1-dev"),
        // Headers of the kernel and of libc, nothing to link.
        .systemLibrary(name: "CSandbox", path: "Sources/CModules/CSandbox"),
        library("CDNNL", apt: "libdnnl-dev"),
        // Addresses only: the library is loaded when a run on many machines asks for it.
        .systemLibrary(name: "CMPI", path: "Sources/CModules/CMPI"),
        library("CTurboJPEG", pkgConfig: "libturbojpeg", apt: "libturbojpeg0-dev"),
        library("CPNG", pkgConfig: "libpng", apt: "libpng-dev"),
        library("CWebP", pkgConfig: "libwebp", apt: "libwebp-dev"),
        // The compressions of Parquet.
        library("CBrotli", pkgConfig: "libbrotlidec", apt: "libbrotli-dev"),
        library("CLZ4", pkgConfig: "liblz4", apt: "liblz4-dev"),
        library("CSnappy", apt: "libsnappy-dev"),
        library("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        library("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        // Addresses only: the libraries are loaded in a process of their own when an image needs them.
        .systemLibrary(name: "CImageCodecs", path: "Sources/CModules/CImageCodecs"),

        module("System", ["CSandbox", "CGraftSystem"]),
        module("Tensors", ["CKernels", "GraftSystem", collections]),
        module("Schemas", ["GraftTensors", protobuf]),
        module(
            "Formats",
            [
                "GraftSchemas", "GraftTensors", "GraftSystem", "CHDF5", "CArchive", "CExpat",
                "CBrotli", "CLZ4", "CSnappy", "CZlib", "CZstd", collections, protobuf, yams,
            ]),
        module("Networks", ["GraftTensors", collections]),
        module(
            "Architectures",
            ["GraftNetworks", "GraftSchemas", "GraftTensors", collections, protobuf]),
        .target(name: "CKernels"),
        // Not `CSystem`: swift-system, which SwiftNIO depends on, has a target of that name.
        .target(name: "CGraftSystem"),
        module("Execution", ["GraftNetworks", "GraftTensors", "CDNNL", "CKernels"]),
        module(
            "Images",
            ["GraftTensors", "GraftSystem", "CTurboJPEG", "CPNG", "CWebP", "CImageCodecs"]),
        module("Registry", path: "Registry", ["GraftTensors"], resources: [.copy("Models")]),
        module("Cache", path: "Cache", ["GraftTensors", "GraftSystem", "CArchive", crypto]),
        module(
            "Hub", ["GraftRegistry", "GraftCache", "GraftTensors", "GraftSystem", "CCurl", crypto]),
        module("Server", ["GraftTensors"] + nio),
        module("Mirror", ["GraftHub", "GraftCache", "GraftServer", "GraftTensors"]),
        module(
            "Training",
            [
                "GraftExecution", "GraftNetworks", "GraftImages", "GraftFormats", "GraftTensors",
                "CMPI", collections, crypto,
            ]),
        .target(
            name: "Graft",
            dependencies: [
                "GraftTraining", "GraftExecution", "GraftArchitectures", "GraftNetworks",
                "GraftImages",
                "GraftFormats", "GraftHub", "GraftCache", "GraftRegistry", "GraftTensors",
                collections,
            ],
            path: "Sources/Graft", exclude: ["README.md"], swiftSettings: strict),
        .executableTarget(
            name: "GraftCLI",
            dependencies: [
                "Graft", "GraftTraining", "GraftExecution", "GraftArchitectures", "GraftNetworks",
                "GraftImages", "GraftFormats", "GraftHub", "GraftMirror",
                "GraftCache", "GraftRegistry", "GraftTensors", "GraftSystem", arguments,
                collections,
                crypto,
            ], path: "Sources/GraftCLI",
            swiftSettings: strict),
        .executableTarget(
            name: "GraftBench",
            dependencies: [
                "GraftTraining", "GraftExecution", "GraftNetworks", "GraftImages", "GraftFormats",
                "GraftCache", "GraftTensors",
            ], path: "Sources/GraftBench", swiftSettings: strict),

        tests(
            "Training",
            [
                "GraftTraining", "GraftCache", "GraftExecution", "GraftNetworks", "GraftTensors",
                "GraftImages",
                "GraftFormats", collections,
            ]),
        tests(
            "Registry", ["GraftRegistry", "GraftArchitectures", "GraftNetworks", "GraftTensors"]),
        tests("Command", ["GraftCLI"]),
        tests(
            "Graft",
            [
                "Graft", "GraftTraining", "GraftExecution", "GraftImages", "GraftNetworks",
                "GraftFormats", "GraftTensors", collections,
            ]),
        tests(
            "Execution",
            ["GraftExecution", "GraftNetworks", "GraftTensors", "CKernels", collections]),
        // Plans that many threads run, for `make sanitize`: links no more than it checks.
        .executableTarget(
            name: "graft-sanitized",
            dependencies: ["GraftExecution", "GraftNetworks", "GraftTensors"],
            path: "Tests/Sanitized", swiftSettings: strict),
        // GraftCLI: images are decoded by the program, in a process of its own.
        tests("Images", ["GraftCLI", "GraftImages", "GraftSystem", "GraftTensors"]),
        tests("Cache", ["GraftCache", "GraftSystem", "GraftTensors"]),
        tests("Mirror", ["GraftMirror", "GraftCache", "GraftServer"]),
        tests("Server", ["GraftServer", "GraftTensors"]),
        tests(
            "Hub",
            ["GraftHub", "GraftRegistry", "GraftCache", "GraftSystem", "GraftTensors"]),
        // GraftCLI: HDF5 files are parsed by the program, in a process of its own.
        // graft-confined: what such a process tries when a file has taken it over.
        .executableTarget(
            name: "graft-confined", dependencies: ["GraftSystem"], path: "Tests/Confined",
            swiftSettings: strict),
        // What conformance scripts drive that is no command.
        .executableTarget(
            name: "graft-harness",
            dependencies: [
                "Graft", "GraftArchitectures", "GraftExecution", "GraftFormats",
                "GraftTensors", "GraftTraining", collections,
            ],
            path: "Tests/Harness", swiftSettings: strict),
        tests(
            "Formats",
            [
                "GraftArchitectures", "GraftCLI", "GraftFormats", "GraftNetworks", "GraftSchemas",
                "GraftSystem", "GraftTensors", "graft-confined", collections,
            ]),
        // Reads sources, and needs none of them.
        tests("House", []),
        tests("System", ["GraftSystem"]),
        tests("Tensors", ["GraftTensors", "GraftSystem", collections]),
        tests("Networks", ["GraftNetworks", "GraftTensors", collections]),
        tests(
            "Architectures",
            [
                "GraftArchitectures", "GraftNetworks", "GraftSchemas", "GraftTensors", collections,
                protobuf,
            ]),
    ],
    swiftLanguageModes: [.v6]
)

// The parsers that `make fuzz` gives to libFuzzer: what the tests replay, with its entry point.
let parsers: [Target.Dependency] = [
    "Graft", "GraftArchitectures", "GraftCache", "GraftFormats", "GraftHub", "GraftImages",
    "GraftNetworks", "GraftSystem", "GraftTensors", "GraftTraining", collections,
]
if Context.environment["GRAFT_FUZZ"] == nil {
    let replays = tests("Fuzz", parsers)
    replays.exclude = ["Corpus", "Driver.swift"]
    package.targets.append(replays)
} else {
    package.targets.append(
        .executableTarget(
            name: "graft-fuzz", dependencies: parsers, path: "Tests/FuzzTests",
            exclude: ["Corpus", "ReplayTests.swift"],
            swiftSettings: strict + [.define("GRAFT_FUZZ")]))
}
