# MedSynth server. Research and education only.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4294967296

# gcc: some pinned packages have no wheel. libgomp and libgl: used by torch and itk.
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ libgomp1 libgl1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/medsynth
COPY requirements.txt ./
RUN pip install -r requirements.txt && apt-get purge -y gcc g++ && apt-get autoremove -y

COPY pyproject.toml README.md LICENSE ./
COPY medsynth_app medsynth_app
COPY apps apps
COPY sample-data sample-data
RUN pip install -e ".[raw]" \
    && useradd --create-home --uid 10001 medsynth \
    && mkdir -p /studies /models && chown -R medsynth /studies /models apps/medsynth

USER medsynth
VOLUME ["/studies", "/models"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/medsynth/api/health/live', timeout=4)"

ENTRYPOINT ["medsynth", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--studies", "/studies", "--conf", "model_folder /models"]
