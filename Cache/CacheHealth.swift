// Whether the folders of the caches do what caches need: write, link, lock, and have room.

import GraftSystem
import GraftTensors

/// Tries the folders of both caches.
public enum CacheHealth {
    /// What was found. What is written to try things is removed again.
    public static func checks(_ inventory: Inventory) -> [HealthCheck] {
        let (cache, hub) = (inventory.cache, inventory.hub)
        guard !cache.root.isEmpty else {
            return [
                HealthCheck(
                    "cache", "graft's cache", .broken, CacheError.noHome.message,
                    hint: CacheError.noHome.hint)
            ]
        }
        var checks = folder("graft's cache", cache.root) + folder("Hub cache", hub.root)
        let items = inventory.items.count
        checks.append(
            HealthCheck(
                "cache", "content", .ok,
                "\(items) items, \(inventory.byteCountOnDisk) bytes on the disk"))
        if inventory.problems.isEmpty {
            checks.append(HealthCheck("cache", "consistency", .ok, "everything fits together"))
        } else {
            checks.append(
                HealthCheck(
                    "cache", "consistency", .note,
                    "\(inventory.problems.count) inconsistencies, the first: "
                        + (inventory.problems.first.map { "\($0.id): \($0.problem)" } ?? ""),
                    hint: "`graft cache repair --dry-run` shows them all"))
        }
        let litter = Litter(of: inventory).pieces
        let bytes = litter.map(\.byteCount).clampedSum
        checks.append(
            litter.isEmpty
                ? HealthCheck("cache", "leftovers", .ok, "none")
                : HealthCheck(
                    "cache", "leftovers", .note, "\(litter.count) files, \(bytes) bytes",
                    hint: "`graft cache prune` removes them; what was interrupted cannot go on then"
                ))
        return checks
    }

    private static func folder(_ name: String, _ root: String) -> [HealthCheck] {
        func check(
            _ what: String, _ state: HealthCheck.State, _ found: String, _ hint: String? = nil
        )
            -> HealthCheck
        { HealthCheck("cache", what.isEmpty ? name : "\(name), \(what)", state, found, hint: hint) }
        let isThere = Files.isFolder(root)
        var checks: [HealthCheck] = []
        // A cache that is not there yet is made by the first fetch; here it is only tried.
        let probe = isThere ? root : nearest(root)
        guard Files.isFolder(probe) else {
            return [
                check(
                    "", .broken, "`\(root)` cannot be made: `\(probe)` is a file",
                    "name another folder with `GRAFT_CACHE` or `HF_HUB_CACHE`")
            ]
        }
        let free = Files.freeBytes(at: probe)
        let system = fileSystem(probe)
        if let refusal = FileSystem.refusal(ofFolder: probe, writing: true) {
            let reason = refusal.message
            guard isThere, FileSystem.refusal(ofFolder: root, writing: false) == nil else {
                return [
                    check(
                        "", .broken, "`\(root)` cannot be made or read: \(reason)",
                        "check `ls -ld \(probe)`, or name another folder with "
                            + "`GRAFT_CACHE` or `HF_HUB_CACHE`")
                ]
            }
            return [
                check(
                    "", .note, "`\(root)` can be read, not written: \(reason)",
                    "what is there can be used; to fetch more name another folder")
            ]
        }
        checks.append(
            check("", .ok, "`\(root)`" + (isThere ? "" : ", which the first fetch makes")))
        checks += trials(probe).map { check($0.what, $0.state, $0.found, $0.hint) }
        if let system {
            checks.append(
                check(
                    "file system", .note, system,
                    "locks may not keep other machines out; files are right all the same, they may be "
                        + "fetched twice"))
        }
        if let free {
            let isShort = free < 1 << 30
            checks.append(
                check(
                    "room", isShort ? .note : .ok, "\(free) bytes free",
                    isShort ? "`graft cache gc --max-size` or `graft cache prune` frees some" : nil)
            )
        }
        return checks
    }

    /// The nearest thing above that is there, a folder where nothing is in the way.
    private static func nearest(_ path: String) -> String {
        var path = path
        while FileSystem.find(path, followsLinks: false) == nil, path.utf8.count > 1 {
            path = UsageRecord.parent(of: path)
        }
        return path.isEmpty ? "/" : path
    }

    private typealias Trial = (what: String, state: HealthCheck.State, found: String, hint: String?)

    /// Writes, links and locks in a folder of its own, which goes again.
    private static func trials(_ root: String) -> [Trial] {
        let folder = "\(root)/.graft-doctor-\(HubCache.infix())"
        do {
            try FileSystem.createFolder(folder, permissions: 0o700)
        } catch {
            let reason = error.errno.message
            return [("writing", .broken, reason, "check the disk and who may write there")]
        }
        defer { _ = try? Files.removeTree(folder) }
        var trials: [Trial] = []
        do {
            try Files.write(Array("graft".utf8), to: folder + "/file")
            trials.append(("writing", .ok, "works", nil))
        } catch {
            return [("writing", .broken, error.message, error.hint)]
        }
        let links = (try? FileSystem.createLink(folder + "/link", to: "file")) != nil
        let isSwitchedOff = HubCache.isSet("HF_HUB_DISABLE_SYMLINKS")
        trials.append(
            (
                "symbolic links", links && !isSwitchedOff ? .ok : .note,
                isSwitchedOff ? "`HF_HUB_DISABLE_SYMLINKS` is set" : links ? "work" : "refused",
                links && !isSwitchedOff ? nil : "each commit keeps copies of its files: more room"
            ))
        let hard = (try? FileSystem.link(folder + "/file", to: folder + "/hard")) != nil
        trials.append(
            (
                "hard links", hard ? .ok : .note, hard ? "work" : "refused",
                hard ? nil : "the same bytes in two places take room twice"
            ))
        let first = try? FileLock(trying: folder + "/lock")
        let second = try? FileLock(trying: folder + "/lock")
        let works = first?.isExclusive == true && second == nil
        trials.append(
            (
                "locks", works ? .ok : .note, works ? "work" : "do not keep others out",
                works ? nil : "programs at the same time may fetch the same file twice"
            ))
        return withExtendedLifetime((first, second)) { trials }
    }

    /// The name of a file system whose locks are known to lie; nil for others.
    private static func fileSystem(_ path: String) -> String? {
        switch FileSystem.kindNumber(at: path) {
        case 0x6969: "NFS"
        case 0x0BD0_0BD0: "Lustre"
        case 0x4750_4653: "GPFS"
        case 0xFF53_4D42, 0xFE53_4D42: "SMB"
        default: nil
        }
    }
}
