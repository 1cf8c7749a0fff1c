// How many threads a run uses: what the caller asks for, or what the process may really have.

import CKernels
import Glibc

/// The threads of the OpenMP runtime that oneDNN computes on.
public enum Threads {
    /// The number of threads that a run uses unless an option sets it: the processors that this
    /// process may use, and no more than its control group's share of time pays for.
    /// `OMP_NUM_THREADS` decides if it is set.
    public static let usable: Int = {
        if let text = getenv("OMP_NUM_THREADS").map({ String(cString: $0) }),
            let first = text.split(separator: ",").first, let count = Int(first), count > 0
        {
            return min(count, 1024)
        }
        // OpenMP's own count honours the affinity mask.
        typealias Counter = @convention(c) () -> Int32
        let processors =
            dlsym(nil, "omp_get_num_procs").map { Int(unsafeBitCast($0, to: Counter.self)()) }
            ?? sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return max(1, min(processors, quota() ?? processors))
    }()

    /// The number of threads that a plan keeps: `wanted`, or ``usable``; 1 without OpenMP.
    package static func resolved(_ wanted: Int?) -> Int {
        setter == nil ? 1 : max(1, min(wanted ?? usable, 1024))
    }

    /// Runs `body` for 0 ..< `count` on `threads` threads of those that oneDNN computes on
    /// (default: ``usable``), in any order; the last is done when this returns.
    package static func each(_ count: Int, threads: Int? = nil, _ body: (Int) -> Void) {
        guard count > 1 else {
            if count == 1 { body(0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            var body = body
            withUnsafeMutablePointer(to: &body) { context in
                graft_parallel(
                    count, resolved(threads),
                    { context, index in
                        context?.assumingMemoryBound(to: ((Int) -> Void).self).pointee(index)
                    }, context)
            }
        }
    }

    private typealias Setter = @convention(c) (Int32) -> Void
    private typealias Getter = @convention(c) () -> Int32
    private static let setter = dlsym(nil, "omp_set_num_threads")
        .map { unsafeBitCast($0, to: Setter.self) }
    private static let getter = dlsym(nil, "omp_get_max_threads")
        .map { unsafeBitCast($0, to: Getter.self) }

    /// Runs `body` with `count` threads for the parallel regions of the calling thread, and restores
    /// what that thread had: OpenMP keeps the number per thread, and a plan may be run by any.
    static func with<R>(_ count: Int, _ body: () throws -> R) rethrows -> R {
        guard let setter, let getter else { return try body() }
        let before = getter()
        setter(Int32(count))
        defer { setter(before) }
        return try body()
    }

    /// The processors' worth of time that the control group grants, rounded up; nil if unlimited.
    private static func quota() -> Int? {
        var share: Double?
        func limit(_ quota: Double?, _ period: Double?) {
            guard let quota, let period, quota > 0, period > 0 else { return }
            share = min(share ?? .infinity, quota / period)
        }
        func words(_ path: String) -> [Double?] {
            text(path).split(whereSeparator: { $0 == " " || $0 == "\n" }).map { Double($0) }
        }
        for line in text("/proc/self/cgroup").split(separator: "\n") {
            // hierarchy:controllers:group
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isSecond = parts[0] == "0"
            guard isSecond || parts[1].split(separator: ",").contains("cpu") else { continue }
            // The group and every one above it may have a limit.
            var group = String(parts[2])
            while true {
                if isSecond {  // "max 100000" or "150000 100000"
                    let both = words("/sys/fs/cgroup\(group)/cpu.max")
                    if both.count == 2 { limit(both[0], both[1]) }
                } else {
                    let folder = "/sys/fs/cgroup/cpu\(group)"
                    limit(
                        words(folder + "/cpu.cfs_quota_us").first ?? nil,
                        words(folder + "/cpu.cfs_period_us").first ?? nil)
                }
                guard let slash = group.lastIndex(of: "/") else { break }
                group = String(group[..<slash])
            }
        }
        return share.map { Int($0.rounded(.up)) }
    }

    private static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        // Nested containers have a line of some hundred bytes for each of a dozen controllers.
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
