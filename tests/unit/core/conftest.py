from hypothesis import settings

# A slow machine is no failure; and the whole folder should answer in seconds.
settings.register_profile("core", deadline=None, max_examples=60)
settings.load_profile("core")
