"""Playlists: dictionaries from a name to a list of songs."""


def add_songs(playlists, name, songs):
    """Add songs to a playlist, which is made if there is none; returns how many it has now."""
    playlist = playlists.setdefault(name, [])
    playlist.append(songs)
    return len(playlist)


def longest(playlists):
    """Names of the playlists, the longest first, then by name."""
    return sorted(playlists, key=lambda name: (-len(playlists[name]), name))
